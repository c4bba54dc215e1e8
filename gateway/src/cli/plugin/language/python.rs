//! Python: componentize-py of PyPI, which brings CPython along.

use std::path::{Path, PathBuf};

use super::{
    CASE, INTERFACE, Language, MADE, MANIFEST, Options, REFUSAL, WORLD, prepared, program, run, with_manifest,
};

pub(super) const PYTHON: Language = Language {
    name: "python",
    mark: "app.py",
    files: &[
        ("requirements.txt", include_str!("../../../../../plugins/threshold/python/requirements.txt")),
        (".gitignore", "/.venv\n/__pycache__\n/build\n/*.wasm\n"),
        ("README.md", include_str!("../templates/python/README.md.in")),
        ("app.py", include_str!("../templates/python/app.py.in")),
        ("stile.py", include_str!("../../../../../plugins/threshold/python/stile.py")),
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
    let mut tool = program(&project, ".venv/bin/componentize-py");
    tool.args(["--quiet", "--wit-path", "wit", "--world", "filter", "componentize", "--stub-wasi"]);
    tool.args(["--python-path", ".", "--output"]).arg(&made).arg("app");
    let install = format!(
        "run `python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt` in {}; Python is \
         Debian's packages `python3` and `python3-venv`",
        folder.display()
    );
    run(&mut tool, &install)?;
    with_manifest(&project, made)
}
