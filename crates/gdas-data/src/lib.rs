//! Data sets for [`gdas`]: readers of archives, image folders, arrays and pickles; known data sets by name, and their download.
//!
//! [`open()`] takes `digits` (embedded), the name of a known set in the data directory, or a path:
//!
//! | format | where |
//! | --- | --- |
//! | CIFAR-10, CIFAR-100, binary and Python version | folder or archive |
//! | ImageNet16-120 (first 120 classes of the pickled batches) | folder or archive |
//! | PNG, JPEG, WebP, BMP, GIF, TIFF, PNM in `train/<class>/`, `test/<class>/`, or plain `<class>/` | folder, `.tar`, `.tar.gz`, `.tar.xz`, `.tar.bz2`, `.zip` |
//! | MNIST, Fashion-MNIST | folder or archive of idx files, gzipped or not |
//! | NumPy arrays of images and labels, as those of MedMNIST | `.npz`, or a folder of `.npy` |
//!
//! The type of a file is decided by its content, not by its name. Archives are never unpacked to paths that they name:
//! entries are kept in memory up to 16 MiB, beyond that in an unnamed temporary file. All sizes and offsets in a file are
//! checked, and [`Limits`] bound memory and disk use.
//!
//! ```
//! let digits = gdas_data::open("digits")?;
//! assert_eq!((digits.train.height, digits.train.channels, digits.classes.len()), (8, 1, 10));
//! # Ok::<(), gdas_data::DataError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
pub mod fetch;
mod files;
mod inspect;
mod kind;
mod known;
mod layout;
mod locate;
mod observe;
mod open;
mod options;
mod packed;
mod parts;
pub mod pickle;
mod read;
mod spool;
mod tree;

pub use error::{BrokenImage, DataError};
pub use files::{LabelledFile, open_files};
pub use inspect::{ClassCount, Summary, inspect};
pub use known::{Known, KnownFile, Listing, Status, data_directory, find_known, known, list};
pub use locate::{IN_MEMORY, LocateError, Located, open_for_run};
pub use observe::{ReadObserver, ReadProgress};
pub use open::{open, open_with, read_image, read_images};
pub use options::Options;
pub use read::image_files::LooseImages;
pub use tree::Limits;

#[cfg(test)]
mod tests;
