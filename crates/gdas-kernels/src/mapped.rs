//! Files as memory: kept here because this is the one crate with `unsafe` in it.

use std::fs::File;
use std::io;
use std::ops::Deref;

/// A file mapped into memory for reading; pages are read when they are looked at.
///
/// The file must not be cut short or written into while it is mapped. Files that this project writes are replaced by
/// renaming a new one over them, never changed in place, so that a mapped one stays as it was.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps the whole file.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is read-only and lives no longer than this value, and all access goes through a slice of
        // its length. That nobody changes the file meanwhile is the condition stated on the type.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::MappedFile;

    #[test]
    fn a_replaced_file_stays_as_it_was_for_those_who_mapped_it() {
        let folder = std::env::temp_dir().join(format!("gdas-mapped-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("temporary directory");
        let (path, new) = (folder.join("file"), folder.join("new"));
        fs::write(&path, b"before").expect("write");
        let mapped = MappedFile::open(&File::open(&path).expect("open")).expect("map");
        fs::write(&new, b"and after").expect("write");
        fs::rename(&new, &path).expect("rename");
        assert_eq!(&*mapped, b"before");
        assert_eq!(fs::read(&path).expect("read"), b"and after");
        fs::remove_dir_all(&folder).expect("remove");
    }
}
