//! What a configuration wants of the machine, and the machine that checks it does not have. A node starts without it, and
//! the check may run on another machine than the node will: so these are warnings.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use catalyst_config::{CheckKind, Config, Variables};

/// Programs and folders of services that are not here, one line each.
pub(super) fn lacks(config: &Config) -> Vec<String> {
    let mut all = Vec::new();
    for (i, service) in config.services.iter().enumerate() {
        let mut look = |key: &str, command: &[String], env: &Variables, folder: &Path| {
            let why = folder_lacks(folder).or_else(|| program_lacks(command.first()?, env, folder));
            all.extend(why.map(|why| format!("/services/{i}/{key} of '{}': {why}", service.name)));
        };
        if let Some(run) = &service.run {
            look("run", &run.command, &run.env, &run.directory);
        }
        if let Some(CheckKind::Exec { command, env, directory }) = service.check.as_ref().map(|c| &c.kind) {
            look("check", command, env, directory);
        }
    }
    all
}

fn folder_lacks(folder: &Path) -> Option<String> {
    // The folder of a file that is named without one.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(format!("{} is no folder: it cannot run there", folder.display())),
        Err(e) => Some(format!("{}, the folder where it is to run: {e}", folder.display())),
    }
}

/// As execvp(3) finds a program: by its path from the folder where it runs, or on the PATH that it gets.
fn program_lacks(program: &str, env: &Variables, folder: &Path) -> Option<String> {
    if program.contains('/') {
        let path = folder.join(program);
        return match fs::metadata(&path) {
            Ok(meta) if runs(&meta) => None,
            Ok(_) => {
                Some(format!("{} is no program that may be run; if it should be: chmod +x", path.display()))
            }
            Err(e) => Some(format!("the program {}: {e}", path.display())),
        };
    }
    let own = env.0.iter().rev().find_map(|v| v.strip_prefix("PATH=")).map(OsString::from);
    let paths = own.or_else(|| env::var_os("PATH")).unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut places = env::split_paths(&paths).map(|place| folder.join(place).join(program));
    let found = places.any(|path: PathBuf| fs::metadata(path).is_ok_and(|meta| runs(&meta)));
    (!found).then(|| format!("the program '{program}' is in no folder of PATH ({})", paths.display()))
}

fn runs(meta: &fs::Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}
