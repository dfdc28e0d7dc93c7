//! Reconciles the files of a node, one pass after another.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    OWN,
    host::{FileState, HostError, ManagedDir, Place, Root},
    install::{Fetch, Installed, install},
    name::Name,
    pass_result::{Entry, Failure, PassResult, REFUSED, Source},
    plan::{Plan, Present, Released, Step, plan},
    wanted::{Want, Wanted},
};
use crate::profile::{Digest, MOST_LISTED};

/// How many bytes the reported paths may have together, as they are stored. With the rest of each
/// entry and its managed fields, a `SeccompNode` then stays below half of etcd's limit of 1.5 MiB.
const MOST_PATH_BYTES: usize = 128 * 1024;

/// How many bytes of seemingly unchanged files are read again at one time. Most nodes have fewer in
/// all files.
const READ_AGAIN: u64 = 32 * 1024 * 1024;

/// How often that is done. While profiles change, passes follow one another much sooner.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(10);

/// The part of `--keep-deleted-for` that may be lost when an agent is killed: one in this many.
const FORGOTTEN: u32 = 20;
const FORGOTTEN_AT_MOST: Duration = Duration::from_mins(5);

/// The files of a node, and what is remembered about them.
pub struct Reconciler {
    root: PathBuf,
    keep: Duration,
    known: BTreeMap<String, FileState>,
    /// How often files were read again, and the time since.
    turn: usize,
    since_turn: Duration,
    released: Released,
    noted: Option<Released>,
    fetch: Fetch,
    place: Option<Place>,
}

impl Reconciler {
    /// Reconciles `callgate` under the seccomp directory `root`. The file of a deleted profile
    /// stays for `keep`. Texts that are not in memory are read by `fetch`.
    pub fn new(root: PathBuf, keep: Duration, fetch: Fetch) -> Self {
        let (known, released) = (BTreeMap::new(), Released::new());
        let (turn, since_turn) = (0, Duration::ZERO);
        Self { root, keep, known, turn, since_turn, released, noted: None, fetch, place: None }
    }

    /// Looks at all files, makes the changes, and reads again what was written. `elapsed` is the
    /// time since the last pass.
    ///
    /// Nothing is written or removed before the profiles of the cluster are known.
    pub fn pass(&mut self, wanted: Option<&Wanted>, elapsed: Duration) -> PassResult {
        let mut found = PassResult { is_decided: wanted.is_some(), ..PassResult::default() };
        found.wanted = wanted.map(BTreeMap::len).unwrap_or_default();
        for (name, want) in wanted.into_iter().flatten() {
            if let Want::Refused(why) = want {
                let why = format!("profile {:?} is not installed: {why}", name.as_str());
                found.failures.push(Failure { name: Some(name.clone()), kind: REFUSED, why });
            }
        }
        if let Err(error) = self.is_in_place() {
            found.is_replaced = matches!(error, HostError::Replaced { .. });
            found.failures.push(Failure::of(None, &error));
            return found;
        }
        let root = match Root::open(&self.root) {
            Ok(root) => root,
            Err(error) => {
                found.failures.push(Failure::of(None, &error));
                return found;
            }
        };
        self.expire(elapsed);
        let own = root.own().and_then(|own| Ok((own.names()?, own)));
        let mut looks = BTreeMap::new();
        match own {
            Ok((names, own)) => {
                own.clean(&names);
                looks = self.keep_own(&root, &own, &names, wanted, elapsed, &mut found);
            }
            Err(error) => found.failures.push(Failure::of(None, &error)),
        }
        self.list(&root, looks, wanted, &mut found);
        found
    }

    /// Marks the next files to be read again, in turn and as many as one pass may read: the content
    /// of a file can change while its stamp stays the same.
    fn expire(&mut self, elapsed: Duration) {
        self.since_turn = self.since_turn.saturating_add(elapsed);
        if self.since_turn < READ_AGAIN_EVERY {
            return;
        }
        self.since_turn = Duration::ZERO;
        self.turn = self.turn.wrapping_add(1);
        let read = self.known.values_mut().filter(|it| it.digest.is_some());
        let mut read: Vec<_> = read.collect();
        let bytes: u64 = read.iter().map(|it| it.size).sum();
        let turns = usize::try_from(bytes.div_ceil(READ_AGAIN)).unwrap_or(usize::MAX).max(1);
        for state in read.iter_mut().skip(self.turn % turns).step_by(turns) {
            state.expire();
        }
    }

    /// Whether the container runtime would read what is written now.
    fn is_in_place(&mut self) -> Result<(), HostError> {
        let now = Place::of(&self.root)?;
        let first = self.place.get_or_insert_with(|| now.clone());
        first.still(&now)
    }

    /// Reconciles our own directory; returns its files, by path.
    fn keep_own(
        &mut self,
        root: &Root,
        own: &ManagedDir,
        names: &[String],
        wanted: Option<&Wanted>,
        elapsed: Duration,
        found: &mut PassResult,
    ) -> BTreeMap<String, FileState> {
        if self.noted.is_none() {
            self.released = own.released();
            self.noted = Some(self.released.clone());
        }
        if let Err(error) = own.replace_old_note(names, &self.released) {
            found.troubles.push(Failure::of(None, &error));
        }
        let mut present = BTreeMap::new();
        let mut looks = BTreeMap::new();
        for name in names.iter().filter_map(|it| Name::of_file(it)) {
            let content = wanted.and_then(|it| it.get(&name)?.content());
            let look = own.look(&name, self.known.get(&name.path()), content);
            present
                .insert(name.clone(), look.as_ref().map_or(Present::Foreign, FileState::present));
            looks.extend(look.map(|it| (name.path(), it)));
        }
        let Some(wanted) = wanted else { return looks };

        let digests = wanted.iter().map(|(name, it)| (name.clone(), it.digest())).collect();
        let aged =
            self.released.iter().map(|(name, it)| (name.clone(), it.saturating_add(elapsed)));
        let Plan { steps, released } = plan(&digests, &present, &aged.collect(), self.keep);
        self.released = released;
        let mut writes = Vec::new();
        for step in &steps {
            match step {
                Step::Write(name) => {
                    if let Some((name, Want::Install(it))) = wanted.get_key_value(name) {
                        writes.push((name, it));
                    }
                }
                Step::Remove(name) => match own.remove(name) {
                    Ok(()) => {
                        looks.remove(&name.path());
                        found.removed.push(name.clone());
                    }
                    Err(error) => found.troubles.push(Failure::of(Some(name), &error)),
                },
            }
        }
        for Installed { name, is_tried, look, result } in
            install(root, own, writes, &mut self.fetch)
        {
            if is_tried {
                looks.remove(&name.path());
            }
            looks.extend(look.map(|it| (name.path(), it)));
            match result {
                Ok(()) => found.written.push(name),
                Err(failure) => found.failures.push(failure),
            }
        }
        if let Err(error) = self.note(own) {
            found.troubles.push(Failure::of(None, &error));
        }
        looks
    }

    /// Stores how long files have been kept, but not in every pass.
    fn note(&mut self, own: &ManagedDir) -> Result<(), HostError> {
        let noted = self.noted.get_or_insert_default();
        let least = (self.keep / FORGOTTEN).min(FORGOTTEN_AT_MOST);
        let is_old = |(name, age): (&Name, &Duration)| {
            noted.get(name).is_none_or(|it| age.saturating_sub(*it) > least)
        };
        if self.released.len() != noted.len() || self.released.iter().any(is_old) {
            own.note(&self.released)?;
            noted.clone_from(&self.released);
        }
        Ok(())
    }

    /// Adds the files of others, and the origin of every file.
    fn list(
        &mut self,
        root: &Root,
        own: BTreeMap<String, FileState>,
        wanted: Option<&Wanted>,
        found: &mut PassResult,
    ) {
        let (mut count, mut bytes) = (0, 0);
        let mut fits = |path: &str| {
            (count, bytes) = (count + 1, bytes + stored_len(path));
            count <= MOST_LISTED && bytes <= MOST_PATH_BYTES
        };
        let mut known = BTreeMap::new();
        let mut own: Vec<_> =
            own.into_iter().map(|(path, it)| (self.role(&path, wanted), path, it)).collect();
        // Wanted profiles come first, since pods need them.
        own.sort_by_key(|(role, ..)| !role.is_wanted);
        for (Role { name, is_wanted, wants }, path, look) in own {
            let source = match wants {
                Some(digest) if look.digest != Some(digest) => Source::Node,
                _ if !is_wanted => Source::Released,
                _ => Source::Callgate,
            };
            if let (true, Some(name), Some(digest), None) =
                (is_wanted, &name, look.digest, look.problem)
            {
                found.usable.insert(name.clone(), digest);
            }
            if fits(&path) {
                found.entries.push(look.entry(path.clone(), source));
            } else {
                found.unlisted += 1;
            }
            known.insert(path, look);
        }
        let walk = root.walk();
        found.unlisted += usize::from(walk.is_cut);
        // There, names that begin with a dot are our notes and unfinished files.
        let is_note = |it: &str| it.strip_prefix(OWN).is_some_and(|it| it.starts_with("/."));
        for path in walk.paths {
            if known.contains_key(&path) || is_note(&path) {
                continue;
            }
            if !fits(&path) {
                found.unlisted += 1;
            } else if let Some(look) = root.look(&path, self.known.get(&path)) {
                found.entries.push(look.entry(path.clone(), Source::Node));
                known.insert(path, look);
            }
        }
        self.known = known;
    }

    fn role(&self, path: &str, wanted: Option<&Wanted>) -> Role {
        let name = path.strip_prefix(OWN).and_then(|it| Name::of_file(it.strip_prefix('/')?));
        let want = name.as_ref().zip(wanted).and_then(|(name, it)| it.get(name));
        let is_released = || name.as_ref().is_some_and(|it| self.released.contains_key(it));
        let is_wanted = if wanted.is_some() { want.is_some() } else { !is_released() };
        Role { is_wanted, wants: want.and_then(Want::digest), name }
    }
}

/// The largest number of bytes that a path takes in the API server's storage, which escapes
/// characters that HTML would interpret, and quotes twice in managed fields.
fn stored_len(path: &str) -> usize {
    let stored = |it: char| match it {
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 7,
        '"' | '\\' => 4,
        it => it.len_utf8(),
    };
    path.chars().map(stored).sum()
}

/// The role of a file in our directory.
struct Role {
    name: Option<Name>,
    /// Whether a profile is wanted under this name, as far as is known.
    is_wanted: bool,
    /// The digest that it must have.
    wants: Option<Digest>,
}

impl FileState {
    fn present(&self) -> Present {
        if self.is_as_written { Present::File(self.digest) } else { Present::Altered }
    }

    fn entry(&self, path: String, source: Source) -> Entry {
        let Self { size, digest, problem, doubt, .. } = *self;
        Entry { path, digest, size, source, problem, doubt }
    }
}
