//! Writes profiles to a node, a part at a time: all of them together may exceed the memory.

use std::{io, sync::Arc};

use super::{
    host::{FileState, HostError, ManagedDir, Root},
    name::Name,
    pass_result::Failure,
    wanted::{Content, Want},
};

/// Reads a profile whose text is not kept from the API server; an error says why it cannot.
pub type Fetch = Box<dyn FnMut(&Name) -> Result<Want, String> + Send + Sync>;

/// How many bytes are written before the files are read again.
const TOGETHER: usize = 2 * 1024 * 1024;

/// The result of writing one file.
pub(super) struct Installed {
    pub(super) name: Name,
    /// Whether a write was attempted, after which the old content may be gone.
    pub(super) is_tried: bool,
    /// The file as it was read after the write.
    pub(super) look: Option<FileState>,
    pub(super) result: Result<(), Failure>,
}

/// Installs these profiles, and reads each file again by its name.
pub(super) fn install(
    root: &Root,
    own: &ManagedDir,
    all: Vec<(&Name, &Content)>,
    fetch: &mut Fetch,
) -> Vec<Installed> {
    let mut installed = Vec::new();
    let mut rest = all.into_iter();
    let mut is_over = false;
    // After one failed request to the API server, the remaining ones are not sent.
    let mut why = None;
    while !is_over {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while bytes < TOGETHER {
            let Some((name, content)) = rest.next() else {
                is_over = true;
                break;
            };
            match text(name, content, fetch, &mut why) {
                Ok(text) => {
                    bytes += text.len();
                    part.push((name, content, text));
                }
                Err(error) => {
                    let result = Err(Failure::of(Some(name), &error));
                    installed.push(Installed {
                        name: name.clone(),
                        is_tried: false,
                        look: None,
                        result,
                    });
                }
            }
        }
        let files: Vec<_> = part.iter().map(|(name, _, text)| (*name, &**text)).collect();
        let results = if files.is_empty() { Vec::new() } else { own.install(&files) };
        for ((name, content, _), result) in part.into_iter().zip(results) {
            // Opened by its name, as the container runtime opens it.
            let look = root.own().ok().and_then(|it| it.look(name, None, Some(content)));
            let is_there = look
                .as_ref()
                .is_some_and(|it| it.is_as_written && it.digest == Some(content.digest));
            let differs = || HostError::Differs { name: name.to_string() };
            let result = result.and_then(|()| if is_there { Ok(()) } else { Err(differs()) });
            let result = result.map_err(|it| Failure::of(Some(name), &it));
            installed.push(Installed { name: name.clone(), is_tried: true, look, result });
        }
    }
    installed
}

fn text(
    name: &Name,
    content: &Content,
    fetch: &mut Fetch,
    why: &mut Option<String>,
) -> Result<Arc<str>, HostError> {
    if let Some(text) = &content.text {
        return Ok(Arc::clone(text));
    }
    let failed = |why: &str| HostError::Fetch {
        name: name.to_string(),
        source: io::Error::other(why.to_owned()),
    };
    if let Some(why) = why {
        return Err(failed(why));
    }
    match fetch(name) {
        Ok(Want::Install(Content { digest, text: Some(text), .. })) if digest == content.digest => {
            Ok(text)
        }
        // The watch will report the new version, which is then written.
        Ok(_) => Err(failed("it has changed meanwhile")),
        Err(it) => Err(failed(why.insert(it))),
    }
}
