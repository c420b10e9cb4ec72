//! The client image: kcat, to speak to Kafka with a client that is not Apache's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cache::{self, Inputs};
use crate::image::{VERSION, base};
use crate::oci::{self, Image, Layer};

/// The archive of the image.
pub(crate) fn archive() -> anyhow::Result<PathBuf> {
    let layer = base::layer("client-layer", &["kcat"])?;
    let inputs =
        Inputs::new().text(include_str!("client.rs")).text(VERSION).text(&layer.to_string_lossy());
    let folder = cache::folder("client-image", inputs, |folder| {
        let image = Image {
            name: format!("ottla.dev/client:{VERSION}"),
            layers: vec![Layer::from_tar(&layer)?],
            entrypoint: vec!["/usr/bin/kcat".to_owned()],
            environment: BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]),
            user: "1001:1001".to_owned(),
            working_folder: "/".to_owned(),
            labels: BTreeMap::from([(
                "org.opencontainers.image.version".to_owned(),
                VERSION.to_owned(),
            )]),
        };
        oci::write(&image, &folder.join("image.tar"))
    })?;
    Ok(folder.join("image.tar"))
}
