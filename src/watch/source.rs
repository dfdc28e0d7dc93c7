//! What a watch reads, and what it reports.

use std::time::Duration;

/// What happened to the objects of a source, each with its key (`Object::key`).
#[derive(Clone, Debug)]
pub(crate) enum Change<T> {
    /// A list of all objects begins; at its end it replaces what is known.
    Begin,
    /// An object in that list.
    Listed(String, T),
    End,
    Put(String, T),
    Gone(String),
}

/// Which objects are watched, and how.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The path of their list.
    pub(crate) path: String,
    /// A field selector; empty for all.
    pub(crate) fields: String,
    /// The number of objects in a page of the list.
    pub(crate) page: usize,
    /// Whether only their metadata is read.
    pub(crate) metadata_only: bool,
    pub(crate) timing: Timing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a watch lasts until the API server ends it, and how long the first one after a
    /// failure.
    pub(crate) term: Duration,
    pub(crate) first_term: Duration,
    /// A watch that brings nothing for this long, not even a bookmark, is given up.
    pub(crate) silence: Duration,
    /// How long the API server may take to begin an answer, and to continue a list.
    pub(crate) patience: Duration,
    /// The shortest and the longest pause between attempts.
    pub(crate) pauses: (Duration, Duration),
}

impl<T> Change<T> {
    /// Applies `of` to the object of the change.
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
    /// The media type to request.
    pub(super) fn accept(&self, is_list: bool) -> &'static str {
        accept(self.metadata_only, is_list)
    }
}

/// The media type to request.
pub(super) fn accept(metadata_only: bool, is_list: bool) -> &'static str {
    match (metadata_only, is_list) {
        (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        (false, _) => "application/json",
    }
}
