//! `npm ci`, once for all test binaries.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// Returns the folder with the scripts and what they require, which is filled first where it has to be.
pub(super) fn install() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join("engineio-node");
    let stamp = folder.join("installed");
    let contents = FILES.map(|(_, content)| content).concat();

    let lock = File::create(target.join("engineio-node.lock")).expect("the target folder is ours");
    #[expect(clippy::incompatible_msrv, reason = "engineioxide needs a newer compiler than we do as well")]
    lock.lock().expect("the file can be locked"); // other test binaries may be here too

    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == contents) {
        return folder;
    }
    fs::create_dir_all(&folder).expect("the target folder is ours");
    for (name, content) in FILES {
        fs::write(folder.join(name), content).expect("the target folder is ours");
    }
    npm_ci(&folder);
    fs::write(stamp, contents).expect("the target folder is ours");
    folder
}

fn npm_ci(folder: &Path) {
    for tool in ["node", "npm"] {
        if Command::new(tool).arg("--version").output().is_err() {
            panic!("these tests need {tool} on the PATH: install Node 20 or newer, npm comes with it");
        }
    }
    let output = Command::new("npm").arg("ci").current_dir(folder).output().expect("npm was there a moment ago");
    assert!(output.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&output.stderr));
}

const FILES: [(&str, &str); 8] = [
    (".npmrc", include_str!("../node/.npmrc")),
    ("package.json", include_str!("../node/package.json")),
    ("package-lock.json", include_str!("../node/package-lock.json")),
    ("clients.js", include_str!("../node/clients.js")),
    ("deflate.js", include_str!("../node/deflate.js")),
    ("lines.js", include_str!("../node/lines.js")),
    ("parsers.js", include_str!("../node/parsers.js")),
    ("server.js", include_str!("../node/server.js")),
];
