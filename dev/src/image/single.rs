//! Images of one static program of ours and nothing else: the operator's and the verifier's.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::cache::{self, Inputs};
use crate::image::{VERSION, program};
use crate::oci::{self, Image, LayerWriter};

/// The archive of the image `name` with the program `ottla-name`.
pub(crate) fn archive(name: &str) -> anyhow::Result<PathBuf> {
    let program = format!("ottla-{name}");
    let binary = program::build(&program)?;
    let inputs = Inputs::new().text(include_str!("single.rs")).text(VERSION).file(&binary)?;
    let folder = cache::folder(&format!("{name}-image"), inputs, |folder| {
        let mut layer = LayerWriter::create(&folder.join("layer.tar"))?;
        layer.file(&program, 0o755, &binary)?;
        let layer = layer.finish()?;
        let image = Image {
            name: format!("ottla.dev/{name}:{VERSION}"),
            layers: vec![layer.clone()],
            entrypoint: vec![format!("/{program}")],
            environment: BTreeMap::new(),
            user: "1001:1001".to_owned(),
            working_folder: "/".to_owned(),
            labels: BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), name.to_owned()),
                ("org.opencontainers.image.version".to_owned(), VERSION.to_owned()),
            ]),
        };
        oci::write(&image, &folder.join("image.tar"))?;
        Ok(fs::remove_file(layer.file)?)
    })?;
    Ok(folder.join("image.tar"))
}
