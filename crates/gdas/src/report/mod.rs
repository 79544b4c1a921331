//! What a user sees of a search: cells as pictures, curves, and one self-contained page.

pub mod cell;
pub mod layout;
pub mod picture;
pub mod svg;
pub mod terminal;

pub use cell::{cell_picture, genotype_pictures};
pub use picture::{Picture, PictureError};
pub use terminal::TerminalStyle;
