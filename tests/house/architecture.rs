//! The table of folders in docs/ARCHITECTURE.md says of each crate what it depends on, as the manifests do.

use crate::{folder, list, metadata, root, text, workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Crates = BTreeSet<String>;

/// What the crates that ship depend on directly, by folder; the crate at the root is `src`, examples are left out.
fn manifests() -> BTreeMap<String, Crates> {
    let name = |folder: &str| if folder.is_empty() { "src".to_owned() } else { folder.to_owned() };
    let metadata = metadata();
    let mut found = BTreeMap::new();
    for package in workspace(&metadata) {
        let from = name(&folder(package));
        if from.starts_with("examples/") {
            continue;
        }
        let shipped = list(package, "dependencies").iter().filter(|dependency| text(dependency, "kind") != "dev");
        let paths = shipped.filter_map(|dependency| dependency["path"].as_str());
        let to = paths.map(|path| name(&Path::new(path).strip_prefix(root()).expect("in the tree").to_string_lossy()));
        found.insert(from, to.collect());
    }
    found
}

/// `crates` and all that they depend on.
fn reached(crates: &Crates, manifests: &BTreeMap<String, Crates>) -> Crates {
    let mut found = Crates::new();
    let mut open: Vec<&String> = crates.iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(&manifests[name]);
        }
    }
    found
}

/// What has to be named of `direct` dependencies: those that none of the others brings along.
fn to_be_named(direct: &Crates, manifests: &BTreeMap<String, Crates>) -> Crates {
    let is_brought = |name: &String| {
        let others = direct.iter().filter(|other| *other != name);
        others.into_iter().any(|other| reached(&manifests[other], manifests).contains(name))
    };
    direct.iter().filter(|name| !is_brought(name)).cloned().collect()
}

/// The rows of the table: the folders of the first column, and those of the last.
fn rows(document: &str) -> Vec<(Crates, Crates)> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Crates>();
    let table = document.lines().skip_while(|line| !line.starts_with("| folder |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "{line}");
        (quoted(cells[0]), quoted(cells[2]))
    });
    rows.collect()
}

/// What the table of `document` says otherwise than the manifests.
fn wrong_rows(document: &str, manifests: &BTreeMap<String, Crates>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut without_row: Crates = manifests.keys().cloned().collect();
    for (folders, said) in rows(document) {
        for folder in folders {
            without_row.remove(&folder);
            // Folders of tests are no crates.
            let Some(direct) = manifests.get(&folder) else { continue };
            let named = to_be_named(direct, manifests);
            if named != said {
                wrong.push(format!("{folder} depends on {named:?}, the table says {said:?}"));
            }
        }
    }
    wrong.extend(without_row.into_iter().map(|folder| format!("{folder} has no row")));
    wrong
}

#[test]
fn the_table_of_folders_is_read() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Crates>();
    let manifests = BTreeMap::from([("a".into(), set(&[])), ("b".into(), set(&["a"])), ("c".into(), set(&["a", "b"]))]);
    let table = |last: &str| {
        format!("| folder | what | depends on |\n|---|---|---|\n| `a` | x | nothing |\n| `b` | y | `a` |\n{last}\n")
    };
    assert_eq!(wrong_rows(&table("| `c` | z | `b` |"), &manifests), [""; 0]);
    assert_eq!(wrong_rows(&table("| `c` | z | `a` |"), &manifests).len(), 1);
    assert_eq!(wrong_rows(&table("| `c` | z | `a`, `b` |"), &manifests).len(), 1);
    assert_eq!(wrong_rows(&table(""), &manifests), ["c has no row"]);
}

#[test]
fn the_table_of_folders_is_that_of_the_manifests() {
    let document = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("text");
    let wrong = wrong_rows(&document, &manifests());
    assert!(wrong.is_empty(), "docs/ARCHITECTURE.md, table of folders: {wrong:#?}");
}
