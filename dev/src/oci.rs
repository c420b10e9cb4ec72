//! Container images as OCI archives: a tar of blobs that containerd, Docker and skopeo read.
//!
//! Layers stay uncompressed: they never travel, and unpack faster. The same
//! files give the same bytes, so that an image keeps its digest over rebuilds.

mod layer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

pub(crate) use layer::{Layer, LayerWriter};

use layer::digest_of_bytes;

/// What is inside an image and how it starts.
pub(crate) struct Image {
    /// Its name with tag, as manifests give it: `ottla.local/kafka:4.3.1`.
    pub(crate) name: String,
    /// Lowest first.
    pub(crate) layers: Vec<Layer>,
    /// The command that starts it.
    pub(crate) entrypoint: Vec<String>,
    /// Environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// `uid` or `uid:gid`; empty is root.
    pub(crate) user: String,
    /// The folder it starts in.
    pub(crate) working_folder: String,
    /// Labels, as `org.opencontainers.image.version`.
    pub(crate) labels: BTreeMap<String, String>,
}

/// Which image an archive holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Reference {
    /// The name containerd gives it on import.
    pub(crate) name: String,
    /// The digest of its manifest, `sha256:…`.
    pub(crate) digest: String,
}

/// Writes the image as an OCI archive.
pub(crate) fn write(image: &Image, archive: &Path) -> anyhow::Result<()> {
    let file =
        File::create(archive).with_context(|| format!("could not create {}", archive.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(file));
    append(&mut tar, "oci-layout", &json_bytes(&json!({ "imageLayoutVersion": "1.0.0" })))?;
    let config = append_blob(&mut tar, &json_bytes(&config(image)))?;
    let manifest = append_blob(&mut tar, &json_bytes(&manifest(image, &config)))?;
    append(&mut tar, "index.json", &json_bytes(&index(image, &manifest)))?;
    for layer in &image.layers {
        append_layer(&mut tar, layer)?;
    }
    tar.into_inner()?.flush().with_context(|| format!("could not write {}", archive.display()))
}

/// Reads which image an archive holds, from its index.
pub(crate) fn reference(archive: &Path) -> anyhow::Result<Reference> {
    let file =
        File::open(archive).with_context(|| format!("could not open {}", archive.display()))?;
    for entry in tar::Archive::new(file).entries()? {
        let mut entry = entry.with_context(|| format!("{} is no tar", archive.display()))?;
        if entry.path()?.as_ref() == Path::new("index.json") {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return reference_of_index(&text)
                .with_context(|| format!("{} names no image in its index", archive.display()));
        }
    }
    anyhow::bail!("{} is no OCI archive: it has no index.json", archive.display())
}

fn reference_of_index(index: &str) -> Option<Reference> {
    let index: Value = serde_json::from_str(index).ok()?;
    let manifest = index["manifests"].get(0)?;
    Some(Reference {
        name: manifest["annotations"]["io.containerd.image.name"].as_str()?.to_owned(),
        digest: manifest["digest"].as_str()?.to_owned(),
    })
}

fn config(image: &Image) -> Value {
    let environment: Vec<String> =
        image.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let diff_ids: Vec<&str> = image.layers.iter().map(|layer| layer.digest.as_str()).collect();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": image.user,
            "Env": environment,
            "Entrypoint": image.entrypoint,
            "WorkingDir": image.working_folder,
            "Labels": image.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

fn manifest(image: &Image, config: &Blob) -> Value {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| {
            json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer.digest,
                "size": layer.size_bytes,
            })
        })
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest,
            "size": config.size_bytes,
        },
        "layers": layers,
    })
}

fn index(image: &Image, manifest: &Blob) -> Value {
    let tag = image.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": manifest.digest,
            "size": manifest.size_bytes,
            "platform": { "architecture": architecture(), "os": "linux" },
            "annotations": {
                "io.containerd.image.name": image.name,
                "org.opencontainers.image.ref.name": tag,
            },
        }],
    })
}

/// This machine's architecture in the words of the OCI.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

struct Blob {
    digest: String,
    size_bytes: u64,
}

fn append_blob(tar: &mut tar::Builder<impl Write>, bytes: &[u8]) -> anyhow::Result<Blob> {
    let digest = digest_of_bytes(bytes);
    append(tar, &blob_path(&digest), bytes)?;
    Ok(Blob { digest, size_bytes: bytes.len() as u64 })
}

fn append_layer(tar: &mut tar::Builder<impl Write>, layer: &Layer) -> anyhow::Result<()> {
    let file = File::open(&layer.file)
        .with_context(|| format!("could not open the layer {}", layer.file.display()))?;
    let mut header = layer::plain_header(tar::EntryType::Regular, 0o644);
    header.set_size(layer.size_bytes);
    tar.append_data(&mut header, blob_path(&layer.digest), file)?;
    Ok(())
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut header = layer::plain_header(tar::EntryType::Regular, 0o644);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)?;
    Ok(())
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(folder: &Path) -> Image {
        let mut writer = LayerWriter::create(&folder.join("layer.tar")).unwrap();
        writer.folder("etc", 0o755).unwrap();
        writer.bytes("etc/greeting", 0o644, b"hello").unwrap();
        Image {
            name: "ottla.local/test:1".to_owned(),
            layers: vec![writer.finish().unwrap()],
            entrypoint: vec!["/bin/true".to_owned()],
            environment: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
            user: "1000:1000".to_owned(),
            working_folder: "/".to_owned(),
            labels: BTreeMap::new(),
        }
    }

    #[test]
    fn an_archive_tells_its_reference_and_is_reproducible() {
        let folder = std::env::temp_dir().join(format!("ottla-oci-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (first, second) = (folder.join("first.tar"), folder.join("second.tar"));
        write(&image(&folder), &first).unwrap();
        write(&image(&folder), &second).unwrap();
        let found = reference(&first).unwrap();
        assert_eq!(found.name, "ottla.local/test:1");
        assert!(found.digest.starts_with("sha256:"));
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
