//! JavaScript: componentize-qjs of npm, which brings the engine QuickJS along.

use std::path::{Path, PathBuf};

use super::{
    CASE, INTERFACE, Language, MADE, MANIFEST, Options, REFUSAL, WORLD, prepared, program, run, with_manifest,
};

pub(super) const JS: Language = Language {
    name: "js",
    mark: "package.json",
    files: &[
        ("package.json", include_str!("../templates/js/package.json.in")),
        (".gitignore", "/build\n/node_modules\n/*.wasm\n"),
        ("README.md", include_str!("../templates/js/README.md.in")),
        ("filter.js", include_str!("../templates/js/filter.js.in")),
        ("stile.js", include_str!("../../../../../plugins/threshold/js/stile.js")),
        MANIFEST,
        WORLD,
        INTERFACE,
        CASE,
        REFUSAL,
    ],
    sdk: None,
    build,
};

fn build(folder: &Path, _: &Options) -> Result<PathBuf, String> {
    let project = prepared(folder)?;
    let made = project.join(MADE).join("filter.wasm");
    let mut tool = program(&project, "node_modules/.bin/componentize-qjs");
    tool.args(["--wit", "wit", "--world", "filter", "--js", "filter.js", "--output"]).arg(&made);
    // No asynchronous calls, the engine in its small form, and no WASI: what it would ask for traps.
    tool.args(["--sync", "--opt-size", "--stub-wasi"]);
    let install = format!(
        "run `npm install --ignore-scripts` in {}; npm and Node, 18 or later, are Debian's packages `nodejs` and `npm`",
        folder.display()
    );
    run(&mut tool, &install)?;
    with_manifest(&project, made)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn a_new_project_has_the_tool_at_the_version_that_is_tried_here() {
        let ours = include_str!("../../../../../plugins/threshold/js/package.json");
        let [ours, theirs] = [ours, super::JS.files[0].1].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert!(ours["devDependencies"].is_object());
        assert_eq!(ours["devDependencies"], theirs["devDependencies"]);
    }
}
