//! What a user sees of a search: cells as pictures, curves, and one self-contained page.

pub mod layout;
pub mod picture;
pub mod svg;
pub mod terminal;

pub use picture::{Picture, PictureError};
