//! Lists and watches objects of an API server, each object read by itself: one that cannot be read
//! is reported, and stops no other. What others can write into an object and nobody here needs is
//! skipped, however it looks.

mod object;
mod split;
mod stream;

use std::time::Duration;

pub(crate) use self::{
    object::Object,
    stream::{Event, Failure, stream},
};

/// What happened to the objects of a source.
#[derive(Clone, Debug)]
pub(crate) enum Change<T> {
    /// A list of all objects begins; it replaces what is known once it ends.
    Begin,
    /// An object of that list.
    Listed(String, T),
    End,
    Put(String, T),
    Gone(String),
}

/// Which objects are followed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The path of their list.
    pub(crate) path: String,
    /// A field selector; empty for all.
    pub(crate) fields: String,
    /// How many a page of the list has.
    pub(crate) page: usize,
    /// Whether only their metadata is read.
    pub(crate) metadata_only: bool,
    pub(crate) timing: Timing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a watch lasts until the API server ends it, and the first one after a failure.
    pub(crate) term: Duration,
    pub(crate) first_term: Duration,
    /// A watch on which nothing comes for so long is given up, bookmarks included.
    pub(crate) silence: Duration,
    /// How long the API server may take to begin an answer, and to go on with a list.
    pub(crate) patience: Duration,
    /// The pauses between attempts: the first one, and the longest.
    pub(crate) pauses: (Duration, Duration),
}

impl<T> Change<T> {
    /// The same, of another value.
    pub(crate) fn map<U>(self, of: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Begin => Change::Begin,
            Self::Listed(name, it) => Change::Listed(name, of(it)),
            Self::End => Change::End,
            Self::Put(name, it) => Change::Put(name, of(it)),
            Self::Gone(name) => Change::Gone(name),
        }
    }
}

impl Source {
    /// The media type to ask for.
    fn accept(&self, is_list: bool) -> &'static str {
        match (self.metadata_only, is_list) {
            (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            (false, _) => "application/json",
        }
    }
}
