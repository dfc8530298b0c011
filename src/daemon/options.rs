//! The `-o` options of a mount: known ones as a value, unknown ones refused.

/// What the options ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `ro`.
    pub read_only: bool,
    /// `allow_other`, or root mounts.
    pub allow_other: bool,
    /// `noxattr`: no extended attributes, so that programs do not ask for each.
    pub noxattr: bool,
    /// Not `nopassthrough`: the kernel reads and writes complete local files itself, where it can.
    pub passthrough: bool,
    /// `dev`: device nodes work (root only).
    pub dev: bool,
    /// `suid`: set-id bits work (root only).
    pub suid: bool,
    /// `noexec`.
    pub noexec: bool,
    /// `sync`.
    pub sync: bool,
    /// `dirsync`.
    pub dirsync: bool,
}

/// Options that mean what we do anyway, or are for `mount(8)` and systemd.
const QUIET: [&str; 17] = [
    "defaults",
    "rw",
    "exec",
    "async",
    "nodev",
    "nosuid",
    "atime",
    "noatime",
    "relatime",
    "strictatime",
    "nodiratime",
    "auto",
    "noauto",
    "user",
    "users",
    "nofail",
    "_netdev",
];

/// Reads options; `root`: root mounts, so other users may use it. The error is a sentence.
pub fn parse(given: &[String], root: bool) -> Result<Options, String> {
    let mut options = Options {
        read_only: false,
        allow_other: root,
        noxattr: false,
        passthrough: root,
        dev: false,
        suid: false,
        noexec: false,
        sync: false,
        dirsync: false,
    };
    for word in given.iter().filter(|word| !word.is_empty()) {
        match word.as_str() {
            "ro" => options.read_only = true,
            "allow_other" => options.allow_other = true,
            "noxattr" => options.noxattr = true,
            "nopassthrough" => options.passthrough = false,
            "dev" | "suid" if !root => {
                return Err(format!("option `{word}` needs root"));
            }
            "dev" => options.dev = true,
            "suid" => options.suid = true,
            "noexec" => options.noexec = true,
            "sync" => options.sync = true,
            "dirsync" => options.dirsync = true,
            quiet if is_quiet(quiet) => apply_quiet(&mut options, quiet),
            _ => return Err(unknown(word)),
        }
    }
    Ok(options)
}

fn is_quiet(word: &str) -> bool {
    QUIET.contains(&word) || word.starts_with("x-") || word.starts_with("comment=")
}

/// The last of two opposite options counts, as for `mount(8)`.
fn apply_quiet(options: &mut Options, word: &str) {
    match word {
        "rw" => options.read_only = false,
        "nodev" => options.dev = false,
        "nosuid" => options.suid = false,
        "exec" => options.noexec = false,
        "async" => options.sync = false,
        _ => {}
    }
}

fn unknown(word: &str) -> String {
    format!(
        "unknown mount option `{word}`\n  known: ro rw allow_other noxattr nopassthrough dev nodev suid nosuid exec noexec sync async dirsync \
         noatime relatime nofail _netdev x-…\n  next: driftfs mount --help"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str, root: bool) -> Result<Options, String> {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        parse(&words, root)
    }

    #[test]
    fn the_last_of_opposites_counts() {
        let options = read("ro,rw,dev,suid,nosuid,noatime,x-systemd.automount", true).unwrap();
        assert!(!options.read_only && options.dev && !options.suid && options.allow_other);
        assert!(!read("", false).unwrap().allow_other);
        assert!(read("", true).unwrap().passthrough && !read("", false).unwrap().passthrough);
        assert!(!read("nopassthrough", true).unwrap().passthrough);
    }

    #[test]
    fn unknown_options_and_those_of_root_are_refused() {
        assert!(read("vers=3", true).unwrap_err().contains("`vers=3`"));
        assert!(read("dev", false).unwrap_err().contains("needs root"));
    }
}
