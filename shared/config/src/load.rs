//! File, environment and flags into a [`Config`].

use std::io;
use std::path::{Path, PathBuf};

use crate::build;
use crate::check::Checker;
use crate::compiled::{Build, Compiled};
use crate::complete::complete;
use crate::config::Config;
use crate::cross;
use crate::error::{ConfigErrors, Report};
use crate::files;
use crate::given;
use crate::keys;
use crate::limits::Limits;
use crate::read;
use crate::tree::{At, Member, Tree, Value};

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct LoadRequest<E> {
    /// The file; without one, everything comes from the environment and the flags.
    pub file: Option<PathBuf>,
    /// The environment: [`environment`] in a node, anything in a test.
    pub env: E,
    /// The values of `--set`, in order: `limits.routes=512`.
    pub sets: Vec<String>,
    /// Which node reads it.
    pub build: Build,
    /// What that node can serve.
    pub compiled: Compiled,
}

/// The environment of this process: variables of ours. Bytes that are not UTF-8 are replaced, so that
/// the value is refused and named instead of overlooked.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with("CATALYST_"))
        .collect()
}

/// Reads the file and everything over it.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load<E: IntoIterator<Item = (String, String)>>(
    request: LoadRequest<E>,
) -> Result<Config, ConfigErrors> {
    let text = request
        .file
        .as_deref()
        .map(|path| text_of(path, "a configuration file", MISSING, Limits::FILE))
        .transpose()?;
    let env: Vec<_> = request.env.into_iter().collect();
    from_text(
        text.as_deref().zip(request.file.as_deref()),
        &env,
        &request.sets,
        request.build,
        &request.compiled,
    )
}

/// As [`load`], over a text that was read already, with the path that it is said to come from.
///
/// # Errors
/// As [`load`].
pub fn from_text(
    file: Option<(&str, &Path)>,
    env: &[(String, String)],
    sets: &[String],
    build: Build,
    compiled: &Compiled,
) -> Result<Config, ConfigErrors> {
    let source = file.map_or("configuration".into(), |(_, path)| path.display().to_string());
    let text = file.map_or("", |(text, _)| text);
    let mut report = Report::new(&source, text);
    let tree = match file {
        Some((text, _)) => read::file(text, &mut report),
        None => Some(nothing()),
    };
    let Some(mut tree) = tree else {
        report.finish()?;
        return Err(ConfigErrors::unreadable(&source, "JSON", "something else".into(), "check the file"));
    };
    given::apply(&mut tree, env, sets, keys::ROOT, compiled, &mut report);
    Checker { build, compiled, report: &mut report, root: keys::ROOT }.document(&tree);
    complete(&mut tree, keys::ROOT, build, compiled);
    // The folder of "catalyst.json" is "", which joins to the paths as they are.
    let base = file.and_then(|(_, path)| path.parent()).unwrap_or(Path::new(""));
    let config = build::config(&tree, file.map(|(_, path)| path), base);
    if let Some(config) = &config {
        cross::check(config, &tree, build, &mut report);
    }
    report.finish()?;
    // Without an error the tree holds everything: the check and the builder use the same parsers.
    config.ok_or_else(|| {
        ConfigErrors::unreadable(
            &source,
            "a complete configuration",
            "a value of no use".into(),
            "report this as a defect",
        )
    })
}

/// A document without a file: of the version that this build writes.
fn nothing() -> Tree {
    let version = Tree::new(Value::Number("1".into()), At::Default);
    let version = Member { name: "version".into(), at: At::Default, value: version };
    Tree::new(Value::Object(vec![version]), At::Default)
}

const MISSING: &str =
    "check the path, or name the file with --config; docs/examples holds some to begin with";

/// The text of a file, bounded. `missing` is what helps where there is none.
pub(crate) fn text_of(path: &Path, what: &str, missing: &str, max: usize) -> Result<String, ConfigErrors> {
    let shown = path.display().to_string();
    let fail = |found: String, help: &str| ConfigErrors::unreadable(&shown, what, found, help);
    files::read_text(path, max).map_err(|e| match e.kind() {
        io::ErrorKind::FileTooLarge => fail(format!("more than {max} bytes"), "is this the right file?"),
        io::ErrorKind::InvalidData => fail(e.to_string(), "save the file as UTF-8"),
        io::ErrorKind::NotFound => fail("none".into(), missing),
        io::ErrorKind::PermissionDenied => fail(
            "one that this user may not read".into(),
            "give the file to the user that runs the node (chown)",
        ),
        io::ErrorKind::IsADirectory => fail("a folder".into(), "give the path of the file in it"),
        io::ErrorKind::InvalidInput => {
            fail(e.to_string(), "write what it would give to a file, and give the path of that")
        }
        _ => fail(e.to_string(), "check the path"),
    })
}
