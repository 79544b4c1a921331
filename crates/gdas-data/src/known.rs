//! Data sets known by name, their files and their location on disk.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::DataError;

/// A data set known by name.
#[derive(Debug)]
pub struct Known {
    /// Name by which it is opened.
    pub name: &'static str,
    /// Short description.
    pub about: &'static str,
    /// Licence, as far as the authors state one.
    pub licence: &'static str,
    /// The files to fetch, all of them required; empty if it cannot be fetched.
    pub files: &'static [KnownFile],
    /// Other names in the data directory under which files copied by hand are found.
    pub also: &'static [&'static str],
    /// Class names, where the files do not contain them.
    pub classes: &'static [&'static str],
}

/// A file of a known data set.
#[derive(Debug)]
pub struct KnownFile {
    /// File name on disk.
    pub name: &'static str,
    /// URL at which it is published.
    pub url: &'static str,
    /// MD5 checksum as published by the authors or by torchvision.
    pub md5: &'static str,
}

const ORGANS: &[&str] = &[
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
];

macro_rules! idx_files {
    ($base:literal, $($file:literal $md5:literal),*) => {
        &[$(KnownFile { name: $file, url: concat!($base, $file), md5: $md5 }),*]
    };
}

macro_rules! medmnist {
    ($name:literal, $about:literal, $md5:literal, $classes:expr) => {
        Known {
            name: $name,
            about: $about,
            licence: "CC BY 4.0",
            files: &[KnownFile {
                name: concat!($name, ".npz"),
                url: concat!("https://zenodo.org/records/6496656/files/", $name, ".npz?download=1"),
                md5: $md5,
            }],
            also: &[],
            classes: $classes,
        }
    };
}

/// Sources of the checksums: CIFAR from the authors' page, MNIST and Fashion-MNIST from torchvision, MedMNIST from its
/// package (version 2.1, record 6496656).
static KNOWN: &[Known] = &[
    Known {
        name: "cifar10",
        about: "60,000 colour images of 32x32 in 10 classes (CIFAR-10, 162 MB)",
        licence: "none stated; for research, cite Krizhevsky 2009",
        files: &[KnownFile {
            name: "cifar-10-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
        }],
        also: &["cifar-10-python.tar.gz", "cifar-10-batches-bin", "cifar-10-batches-py"],
        classes: &[],
    },
    Known {
        name: "cifar100",
        about: "60,000 colour images of 32x32 in 100 classes (CIFAR-100, 161 MB)",
        licence: "none stated; for research, cite Krizhevsky 2009",
        files: &[KnownFile {
            name: "cifar-100-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            md5: "03b5dce01913d631647c71ecec9e9cb8",
        }],
        also: &["cifar-100-python.tar.gz", "cifar-100-binary", "cifar-100-python"],
        classes: &[],
    },
    Known {
        name: "imagenet16-120",
        about: "157,700 colour images of 16x16 in 120 classes (ImageNet16-120; must be put there by hand)",
        licence: "ImageNet's terms; the files need an account at image-net.org",
        files: &[],
        also: &["ImageNet16", "imagenet16", "ImageNet16.tar", "ImageNet16.tar.gz", "ImageNet16.zip"],
        classes: &[],
    },
    Known {
        name: "mnist",
        about: "70,000 grey images of 28x28, handwritten digits (MNIST, 11 MB)",
        licence: "CC BY-SA 3.0",
        files: idx_files!(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "train-images-idx3-ubyte.gz" "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz" "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz" "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz" "ec29112dd5afa0611ce80d1b7f02629c"
        ),
        also: &["MNIST"],
        classes: &[],
    },
    Known {
        name: "fashion-mnist",
        about: "70,000 grey images of 28x28, articles of clothing (Fashion-MNIST, 30 MB)",
        licence: "MIT",
        files: idx_files!(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "train-images-idx3-ubyte.gz" "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz" "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz" "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz" "bb300cfdad3c16e7a12a480ee83cd310"
        ),
        also: &["FashionMNIST"],
        classes: &[],
    },
    medmnist!(
        "pathmnist",
        "107,180 colour images of 28x28, colon tissue (MedMNIST)",
        "a8b06965200029087d5bd730944a56c1",
        &[
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium"
        ]
    ),
    Known {
        licence: "CC BY-NC 4.0",
        ..medmnist!(
            "dermamnist",
            "10,015 colour images of 28x28, skin lesions (MedMNIST)",
            "0744692d530f8e62ec473284d019b0c7",
            &[
                "actinic keratoses and intraepithelial carcinoma",
                "basal cell carcinoma",
                "benign keratosis-like lesions",
                "dermatofibroma",
                "melanoma",
                "melanocytic nevi",
                "vascular lesions"
            ]
        )
    },
    medmnist!(
        "octmnist",
        "109,309 grey images of 28x28, retina (MedMNIST)",
        "c68d92d5b585d8d81f7112f81e2d0842",
        &["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"]
    ),
    medmnist!(
        "pneumoniamnist",
        "5,856 grey images of 28x28, chest X-rays (MedMNIST)",
        "28209eda62fecd6e6a2d98b1501bb15f",
        &["normal", "pneumonia"]
    ),
    medmnist!(
        "retinamnist",
        "1,600 colour images of 28x28, grades of retinopathy (MedMNIST)",
        "bd4c0672f1bba3e3a89f0e4e876791e4",
        &[]
    ),
    medmnist!(
        "breastmnist",
        "780 grey images of 28x28, ultrasound (MedMNIST)",
        "750601b1f35ba3300ea97c75c52ff8f6",
        &["malignant", "normal or benign"]
    ),
    medmnist!(
        "bloodmnist",
        "17,092 colour images of 28x28, blood cells (MedMNIST)",
        "7053d0359d879ad8a5505303e11de1dc",
        &[
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet"
        ]
    ),
    medmnist!(
        "tissuemnist",
        "236,386 grey images of 28x28, kidney cells (MedMNIST)",
        "ebe78ee8b05294063de985d821c1c34b",
        &[
            "collecting duct, connecting tubule",
            "distal convoluted tubule",
            "glomerular endothelial cells",
            "interstitial endothelial cells",
            "leukocytes",
            "podocytes",
            "proximal tubule segments",
            "thick ascending limb"
        ]
    ),
    medmnist!(
        "organamnist",
        "58,850 grey images of 28x28, organs, axial view (MedMNIST)",
        "866b832ed4eeba67bfb9edee1d5544e6",
        ORGANS
    ),
    medmnist!(
        "organcmnist",
        "23,660 grey images of 28x28, organs, coronal view (MedMNIST)",
        "0afa5834fb105f7705a7d93372119a21",
        ORGANS
    ),
    medmnist!(
        "organsmnist",
        "25,221 grey images of 28x28, organs, sagittal view (MedMNIST)",
        "e5c39f1af030238290b9557d9503af9d",
        ORGANS
    ),
];

/// All data sets known by name, except the embedded `digits`.
pub fn known() -> &'static [Known] {
    KNOWN
}

/// The known data set of this name, ignoring case, `-` and `_`.
pub fn find_known(name: &str) -> Option<&'static Known> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    KNOWN.iter().find(|set| plain(set.name) == plain(name))
}

/// The folder of known data sets: `$GDAS_DATA`, or `$XDG_DATA_HOME/gdas`, or `~/.local/share/gdas`.
///
/// # Errors
/// If neither variable is set and the system knows no home directory.
pub fn data_directory() -> Result<PathBuf, DataError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("GDAS_DATA")
        .or_else(|| variable("XDG_DATA_HOME").map(|path| path.join("gdas")))
        .or_else(|| std::env::home_dir().map(|path| path.join(".local/share/gdas")))
        .ok_or_else(|| {
            DataError::Unsuitable("set GDAS_DATA to the folder where data sets lie; there is no home directory".into())
        })
}

impl Known {
    /// Path of the data set in the data directory: its folder if complete, or one of its usual archives or folders.
    pub fn locate(&self, directory: &Path) -> Option<PathBuf> {
        let own = directory.join(self.name);
        if !self.files.is_empty() && self.files.iter().all(|file| own.join(file.name).is_file()) {
            return Some(match self.files {
                [file] => own.join(file.name),
                _ => own,
            });
        }
        for name in self.also.iter().copied().chain(self.files.iter().map(|file| file.name)) {
            // A set of several files is complete only as a folder.
            if self.files.len() > 1 && self.files.iter().any(|file| file.name == name) {
                continue;
            }
            for path in [own.join(name), directory.join(name)] {
                if path.exists() {
                    return Some(path);
                }
            }
        }
        // Other files copied into its folder by hand count, partial downloads do not.
        let mut items = std::fs::read_dir(&own).ok()?.filter_map(Result::ok);
        let complete =
            |name: &str| !name.starts_with('.') && name.rsplit_once('.').is_none_or(|(_, end)| end != "part");
        let by_hand = items.any(|item| {
            let name = item.file_name();
            let name = name.to_string_lossy();
            complete(&name) && self.files.iter().all(|file| file.name != name)
        });
        by_hand.then_some(own)
    }

    /// The error that it is missing; `local` is how to refer to a local file or folder of the same name.
    pub(super) fn not_fetched(&self, directory: &Path, local: Option<String>) -> DataError {
        let local =
            local.map_or_else(String::new, |local| format!("; for the local files of that name, give `{local}`"));
        let files = if self.files.is_empty() {
            self.also.join(" or ")
        } else {
            self.files.iter().map(|file| format!("{} ({})", file.name, file.url)).collect::<Vec<_>>().join(", ")
        };
        if self.files.is_empty() {
            return DataError::Unsuitable(format!(
                "`{}` is not in {}, and cannot be fetched ({}); put {files} there by hand{local}",
                self.name,
                directory.display(),
                self.licence
            ));
        }
        DataError::NotFetched { name: self.name.into(), directory: directory.join(self.name), files, local }
    }
}

/// An entry of the list of known data sets.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Name by which it is opened.
    pub name: String,
    /// Short description.
    pub about: String,
    /// Licence.
    pub licence: String,
    /// Whether it is available.
    pub status: Status,
}

/// Availability of a known data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "path")]
pub enum Status {
    /// Embedded in the program.
    Embedded,
    /// Present in the data directory, at this path.
    Present(PathBuf),
    /// Absent; [`fetch`](crate::fetch::fetch) downloads it.
    Missing,
    /// Absent; its files must be copied into the data directory by hand.
    ByHand,
}

/// All data sets that can be opened by name, with their availability in `directory`.
pub fn list(directory: &Path) -> Vec<Listing> {
    let digits = Listing {
        name: "digits".into(),
        about: "1,797 grey images of 8x8, handwritten digits (UCI)".into(),
        licence: "CC BY 4.0".into(),
        status: Status::Embedded,
    };
    let sets = KNOWN.iter().map(|set| Listing {
        name: set.name.into(),
        about: set.about.into(),
        licence: set.licence.into(),
        status: match set.locate(directory) {
            Some(path) => Status::Present(path),
            None if set.files.is_empty() => Status::ByHand,
            None => Status::Missing,
        },
    });
    std::iter::once(digits).chain(sets).collect()
}
