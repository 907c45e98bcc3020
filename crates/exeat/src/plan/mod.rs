//! A plan for people to read: on a terminal, as one page of HTML that needs nothing else, and as pictures.
//!
//! `content` says everything once, as blocks; `terminal` and `html` only lay the blocks out, so both say the same.

mod content;
pub(crate) mod html;
mod law;
mod made;
pub(crate) mod markup;
pub(crate) mod page;
pub(crate) mod picture;
mod terminal;
mod view;
pub(crate) mod words;

pub(crate) use html::html;
pub(crate) use made::{Made, check_seal};
pub(crate) use picture::pictures;
pub(crate) use terminal::terminal;
pub(crate) use view::View;

#[cfg(test)]
mod tests;
