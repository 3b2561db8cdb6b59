use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Tried;

/// The variable that names the library, or a folder with it; the same as in other programs.
const NAMED_BY: &str = "ORT_DYLIB_PATH";

/// Folders that libraries are installed to.
const SYSTEM_FOLDERS: [&str; 7] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// Where a library may be, in the order of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// What the environment names: this file, or a library in this folder.
    Named(PathBuf),
    /// Folder of a Python's packages, one of which may be onnxruntime.
    Packages(PathBuf),
    /// Whatever `python3` says where its packages are.
    AskPython(PathBuf),
    /// A folder that a library may be in.
    Folder(PathBuf),
}

/// What is looked at of the environment; a function, so that tests have one of their own.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// All places. A library that is named is the only one: another one in its stead would be a surprise.
pub(super) fn places(variable: Variable<'_>) -> Vec<Place> {
    if let Some(named) = variable(NAMED_BY).filter(|path| !path.is_empty()) {
        return vec![Place::Named(PathBuf::from(named))];
    }
    let mut places = Vec::new();
    for prefix in ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(|name| variable(name)) {
        places.extend(packages_below(Path::new(&prefix)));
    }
    if let Some(python) = first_python(variable) {
        // The link in a virtual environment belongs to the environment, what it leads to to the system.
        let real = python.canonicalize().ok();
        for prefix in
            [Some(&python), real.as_ref()].into_iter().flatten().filter_map(|path| path.parent()?.parent())
        {
            places.extend(packages_below(prefix));
        }
        if let Some(home) = variable("HOME") {
            places.extend(packages_below(&Path::new(&home).join(".local")));
        }
        places.push(Place::AskPython(python));
    }
    let listed = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"].iter().filter_map(|name| variable(name));
    let listed = listed.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>());
    let folders = listed.chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    places.extend(folders.filter(|folder| !folder.as_os_str().is_empty()).map(Place::Folder));
    let mut unique = Vec::new();
    for place in places {
        if !unique.contains(&place) {
            unique.push(place);
        }
    }
    unique
}

fn first_python(variable: Variable<'_>) -> Option<PathBuf> {
    let name = format!("python3{}", std::env::consts::EXE_SUFFIX);
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|python| python.is_file())
}

/// Folders of packages of the Pythons with this prefix.
fn packages_below(prefix: &Path) -> Vec<Place> {
    let mut folders = Vec::new();
    for lib in [prefix.join("lib"), prefix.join("local/lib")] {
        let pythons = listed(&lib).into_iter().filter(|folder| name_of(folder).starts_with("python3"));
        folders.extend(
            pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name))),
        );
    }
    folders.push(prefix.join("Lib").join("site-packages"));
    folders.into_iter().filter(|folder| folder.is_dir()).map(Place::Packages).collect()
}

impl Place {
    /// The libraries there, or why there is none.
    pub(super) fn libraries(&self) -> Result<Vec<PathBuf>, Tried> {
        let (place, found, wanted) = match self {
            Self::Named(path) if path.is_dir() => (path.clone(), libraries_in(path), "a library of it"),
            Self::Named(path) => return named_file(path),
            Self::Folder(path) => (path.clone(), libraries_in(path), "a library of it"),
            Self::Packages(path) => (path.clone(), libraries_of_wheel(path), "the package onnxruntime"),
            Self::AskPython(python) => {
                let folders = asked(python)?;
                let found = folders.iter().flat_map(|folder| libraries_of_wheel(folder)).collect();
                (python.clone(), found, "a Python with the package onnxruntime")
            }
        };
        if found.is_empty() {
            return Err(Tried {
                place: place.display().to_string(),
                reason: format!("not there: expected {wanted}"),
            });
        }
        Ok(found)
    }
}

fn named_file(path: &Path) -> Result<Vec<PathBuf>, Tried> {
    // A relative path is one from here, not from where the program lies.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if absolute.is_file() {
        return Ok(vec![absolute]);
    }
    let place = format!("{NAMED_BY}={}", path.display());
    Err(Tried { place, reason: "no such file: expected a library".to_owned() })
}

/// What the interpreter says where its packages are; some are scripts that choose another one.
fn asked(python: &Path) -> Result<Vec<PathBuf>, Tried> {
    const QUESTION: &str = "import site, sysconfig; \
        print(sysconfig.get_path('platlib')); print(sysconfig.get_path('purelib')); print(site.getusersitepackages())";
    let fault = |reason: String| Tried { place: python.display().to_string(), reason };
    let answer = Command::new(python)
        .args(["-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| fault(format!("does not run: {error}")))?;
    if !answer.status.success() {
        return Err(fault(format!("does not say where its packages are: {}", answer.status)));
    }
    let mut folders: Vec<_> = String::from_utf8_lossy(&answer.stdout).lines().map(PathBuf::from).collect();
    folders.dedup();
    Ok(folders)
}

fn libraries_of_wheel(packages: &Path) -> Vec<PathBuf> {
    libraries_in(&packages.join("onnxruntime").join("capi"))
}

/// Files that are named as the runtime library is, the highest version first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = listed(folder).into_iter().filter(|path| is_library(&name_of(path))).collect();
    found.reverse();
    found
}

fn is_library(name: &str) -> bool {
    let linux = name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.");
    let mac =
        name == "libonnxruntime.dylib" || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"));
    if cfg!(windows) {
        name == "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        mac
    } else {
        linux
    }
}

/// What is in a folder, by name; nothing where there is no folder.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn found(values: &[(&str, &Path)]) -> Vec<Place> {
        let values: BTreeMap<_, _> =
            values.iter().map(|(name, path)| (*name, OsString::from(path))).collect();
        places(&|name| values.get(name).cloned())
    }

    fn file(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn what_is_named_is_the_only_place() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("libonnxruntime.so");
        assert_eq!(
            found(&[(NAMED_BY, &named), ("VIRTUAL_ENV", folder.path())]),
            [Place::Named(named.clone())]
        );
        let missing = Place::Named(named.clone()).libraries().unwrap_err();
        assert!(missing.place.starts_with("ORT_DYLIB_PATH=") && missing.reason.starts_with("no such file"));
        file(&named);
        assert_eq!(Place::Named(named.clone()).libraries().unwrap(), [named]);
        assert!(found(&[(NAMED_BY, Path::new(""))]).len() > 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_wheel_of_a_virtual_environment_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join("lib/python3.12/site-packages");
        let capi = packages.join("onnxruntime/capi");
        for name in [
            "libonnxruntime.so.1.20.1",
            "libonnxruntime_providers_shared.so",
            "onnxruntime_pybind11_state.so",
        ] {
            file(&capi.join(name));
        }
        let places = found(&[("VIRTUAL_ENV", folder.path())]);
        assert_eq!(places[0], Place::Packages(packages));
        assert_eq!(places[0].libraries().unwrap(), [capi.join("libonnxruntime.so.1.20.1")]);
    }

    #[test]
    fn packages_without_the_wheel_say_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let tried = Place::Packages(folder.path().to_owned()).libraries().unwrap_err();
        assert_eq!(tried.reason, "not there: expected the package onnxruntime");
        assert_eq!(tried.place, folder.path().display().to_string());
    }

    #[cfg(unix)]
    #[test]
    fn the_python_of_the_path_is_asked_last_of_all_pythons() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder.path().join("bin/python3"));
        let packages = folder.path().join("lib/python3.11/dist-packages");
        std::fs::create_dir_all(&packages).unwrap();
        let places = found(&[("PATH", &folder.path().join("bin"))]);
        assert_eq!(places[0], Place::Packages(packages));
        assert_eq!(places[1], Place::AskPython(folder.path().join("bin/python3")));
        let tried = places[1].libraries().unwrap_err();
        assert!(tried.reason.starts_with("does not run"), "{tried:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_python_that_is_a_script_is_asked_where_its_packages_are() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python3");
        let write = |text: String| {
            std::fs::write(&python, text).unwrap();
            std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        write(format!("#!/bin/sh\necho {}\n", folder.path().display()));
        assert_eq!(asked(&python).unwrap(), [folder.path()]);
        write("#!/bin/sh\nexit 3\n".to_owned());
        let tried = asked(&python).unwrap_err();
        assert!(tried.reason.starts_with("does not say where its packages are"), "{tried:?}");
    }

    #[test]
    fn folders_of_the_system_are_last_and_none_comes_twice() {
        let places = found(&[("LD_LIBRARY_PATH", Path::new("/opt/a:/usr/lib:/opt/a"))]);
        assert_eq!(places[..2], [Place::Folder("/opt/a".into()), Place::Folder("/usr/lib".into())]);
        assert_eq!(places.len(), 1 + SYSTEM_FOLDERS.len());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_highest_version_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["libonnxruntime.so", "libonnxruntime.so.1.18.0", "libonnxruntime.so.1.31.1", "libother.so"]
        {
            file(&folder.path().join(name));
        }
        let names: Vec<_> = libraries_in(folder.path()).iter().map(|path| name_of(path)).collect();
        assert_eq!(names, ["libonnxruntime.so.1.31.1", "libonnxruntime.so.1.18.0", "libonnxruntime.so"]);
    }
}
