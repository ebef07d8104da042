//! House rules for every text file: the project speaks of itself alone.
//!
//! The words it refuses are put together from pieces here, so that this file passes its own rule.

use super::Finding;

/// Absolute folders of somebody's machine, and folders beside the repository.
const PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("../sha", "red")];

/// Hosts of package registries: packages are named, and where they come from is the machine's own business.
const HOSTS: &[&str] = &[
    concat!("repo1.maven", ".org"),
    concat!("repo.maven.apache", ".org"),
    concat!("pypi", ".org"),
    concat!("files.pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("artifac", "tory"),
];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{path}:{}", number + 1);
        for needle in PATHS.iter().filter(|needle| names_folder(line, needle)) {
            let what = format!("{needle} is a folder of one machine");
            findings.push(Finding::new(place(), "own paths only", what));
        }
        for host in HOSTS.iter().filter(|host| line.contains(**host)) {
            findings.push(Finding::new(place(), "no registry hosts", format!("{host} does not belong here")));
        }
        if path.starts_with(".cargo/") && (line.starts_with("[source") || line.starts_with("[registr")) {
            let what = "a source replacement belongs to the machine, not to the project";
            findings.push(Finding::new(place(), "no registry hosts", what));
        }
    }
    findings
}

/// `data/work/` is somebody's relative folder, an absolute one starts with its slash.
fn names_folder(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_one_machine_is_found() {
        for folder in PATHS {
            let findings = check("docs/x.md", &format!("fine\nsee `{folder}x`\n"));
            assert_eq!(findings.len(), 1, "{folder}");
            assert_eq!(findings[0].place, "docs/x.md:2");
        }
        assert_eq!(check("docs/x.md", concat!("data/wo", "rk/x $HOME/ho", "me/y")), []);
    }

    #[test]
    fn each_registry_host_is_found() {
        for host in HOSTS {
            assert_eq!(check("x.sh", &format!("curl https://{host}/a"))[0].rule, "no registry hosts");
        }
        assert_eq!(check(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
        assert_eq!(check(".cargo/config.toml", "[alias]\n"), []);
    }
}
