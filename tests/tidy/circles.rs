//! Modules import in one direction: no circle among the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{files, none, root};

/// The path of a module inside its crate.
type Module = Vec<String>;

/// The modules of a crate, each with the modules that it imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn modules_import_in_one_direction() {
    let mut faults = Vec::new();
    for folder in folders() {
        faults.extend(circle(&imports(&folder)).map(|circle| format!("{folder}: {}", circle.join(" -> "))));
    }
    none("modules import in one direction", &faults);
}

#[test]
fn a_circle_is_found_through_several_modules_and_braces() {
    let paths =
        paths("use super::{b::{self, C}, d};\nuse std::fmt;\npub(crate) use self::inner::E;\nlet x = crate::f::g();");
    assert_eq!(paths, ["super::b::self", "super::b::C", "super::d", "std::fmt", "self::inner::E", "crate::f::g"]);
    let module = |name: &str| vec![name.to_owned()];
    let edge = |from: &str, to: &str| (module(from), BTreeSet::from([module(to)]));
    let round = Imports::from([edge("a", "b"), edge("b", "c"), edge("c", "a")]);
    assert_eq!(circle(&round), Some(vec!["a".into(), "b".into(), "c".into(), "a".into()]));
    let straight = Imports::from([edge("a", "b"), edge("b", "c"), (module("c"), BTreeSet::new())]);
    assert_eq!(circle(&straight), None);
}

/// The sources of every crate below `crates`, and of the operator.
fn folders() -> Vec<String> {
    let manifests = files("crates", "Cargo.toml");
    let crates = manifests.iter().map(|file| file.parent().unwrap().strip_prefix(root()).unwrap().join("src"));
    let folders: Vec<String> =
        crates.chain([Path::new("src").to_owned()]).map(|folder| folder.to_string_lossy().into_owned()).collect();
    for known in ["crates/model/src", "crates/providers/kubernetes/src", "src"] {
        assert!(folders.iter().any(|folder| folder == known), "{known} is missing in {folders:?}");
        let imports = imports(known).values().map(BTreeSet::len).sum::<usize>();
        assert!(imports > 0, "{known}: no import was found");
    }
    folders
}

/// The imports among the files of a crate, those of tests left out.
fn imports(folder: &str) -> Imports {
    let base = root().join(folder);
    let sources: BTreeMap<Module, String> = files(folder, ".rs")
        .iter()
        .map(|file| (module(file.strip_prefix(&base).unwrap()), fs::read_to_string(file).unwrap()))
        .collect();
    let tests: BTreeSet<Module> =
        sources.iter().flat_map(|(module, source)| test_modules(source).map(|name| below(module, &name))).collect();
    let known: BTreeSet<&Module> = sources.keys().filter(|module| !tests.contains(*module)).collect();
    known
        .iter()
        .map(|module| {
            let code = sources[*module].split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let used = paths(code).into_iter().filter_map(|path| resolve(module, &path, &known));
            ((*module).clone(), used.filter(|used| used != *module).collect())
        })
        .collect()
}

/// The module of a file.
fn module(file: &Path) -> Module {
    let mut parts: Module = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

fn below(module: &Module, name: &str) -> Module {
    [module.clone(), vec![name.to_owned()]].concat()
}

/// The names of the modules that exist in tests alone.
fn test_modules(source: &str) -> impl Iterator<Item = String> {
    source
        .split("#[cfg(test)]\n")
        .skip(1)
        .filter_map(|rest| rest.lines().next()?.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .map(ToOwned::to_owned)
}

/// All paths that code imports or names from its crate.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let import = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        if let Some(import) = import.strip_prefix("use ") {
            let mut text = import.to_owned();
            while !text.contains(';') {
                text.push_str(lines.next().unwrap_or(";").trim());
            }
            expand("", &text[..text.find(';').unwrap()].replace(' ', ""), &mut found);
        } else if !line.trim_start().starts_with("//") {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    for word in rest.split(|c: char| !(c.is_alphanumeric() || c == ':' || c == '_')) {
        if word.starts_with("super::") || word.starts_with("crate::") {
            found.push(word.to_owned());
        }
    }
    found
}

/// The single paths of an import with braces.
fn expand(prefix: &str, text: &str, found: &mut Vec<String>) {
    let Some(open) = text.find('{') else { return found.push(format!("{prefix}{text}")) };
    let (head, inside) = (&text[..open], &text[open + 1..text.rfind('}').unwrap()]);
    let (mut depth, mut part) = (0, String::new());
    for c in inside.chars().chain([',']) {
        match c {
            ',' if depth == 0 => {
                if !part.is_empty() {
                    expand(&format!("{prefix}{head}"), &std::mem::take(&mut part), found);
                }
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        part.push(c);
    }
}

/// The module of the crate that a path in `module` leads to.
fn resolve(module: &Module, path: &str, known: &BTreeSet<&Module>) -> Option<Module> {
    let mut parts = path.split("::").peekable();
    let mut at = match parts.next()? {
        "crate" => Module::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    while parts.next_if_eq(&"super").is_some() {
        at.pop();
    }
    for part in parts {
        let next = below(&at, part);
        if !known.contains(&next) {
            break;
        }
        at = next;
    }
    known.contains(&at).then_some(at)
}

/// One circle, if there is one: its modules, the first again at the end.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(imports, module, &mut Vec::new(), &mut done))
}

fn visit<'a>(
    imports: &'a Imports,
    module: &'a Module,
    way: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|known| *known == module) {
        return Some(way[begin..].iter().copied().chain([module]).map(|one| one.join("::")).collect());
    }
    if !done.insert(module) {
        return None;
    }
    way.push(module);
    let found = imports.get(module)?.iter().find_map(|next| visit(imports, next, way, done));
    way.pop();
    found
}
