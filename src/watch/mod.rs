//! Lists and watches objects of an API server. Each object is read separately: an unreadable one is
//! reported and does not affect the others. Fields that callgate does not need are skipped,
//! whatever they hold.

mod object;
mod pages;
mod source;
mod split;
mod stream;

pub(crate) use self::{
    object::{ManagedField, Object},
    pages::{Listing, list},
    source::{Change, Source, Timing},
    stream::{Event, Failure, stream},
};
