//! Finds the command.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use confine::Command;

/// The command with this process's environment; `None` if there is no such file.
pub(super) fn find(arguments: Vec<OsString>) -> Option<Command> {
    let name = arguments.first()?;
    let file = if name.as_bytes().contains(&b'/') {
        Some(PathBuf::from(name)).filter(|it| it.exists())
    } else {
        let paths = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        env::split_paths(&paths).map(|it| it.join(name)).find(|it| is_executable(it))
    };
    Some(Command { file: file?, arguments, environment: env::vars_os().collect() })
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
