//! A command in a container.

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Runs a command in a pod with this input, and returns what it wrote; fails if it fails.
pub(crate) async fn exec(
    pods: &Api<Pod>,
    pod: &str,
    command: &[&str],
    input: &str,
) -> anyhow::Result<String> {
    let params = AttachParams::default().stdin(!input.is_empty()).stdout(true).stderr(true);
    let mut process = pods
        .exec(pod, command.iter().copied(), &params)
        .await
        .with_context(|| format!("could not exec in {pod}"))?;
    let status = process.take_status().context("no way to learn how it ended")?;
    if let Some(mut stdin) = process.stdin() {
        stdin.write_all(input.as_bytes()).await?;
        stdin.shutdown().await?;
    }
    let (mut written, mut complaints) = (String::new(), String::new());
    let stdout = process.stdout();
    let stderr = process.stderr();
    tokio::try_join!(read(stdout, &mut written), read(stderr, &mut complaints))?;
    let status = status.await.context("the command's end was not told")?;
    if status.status.as_deref() != Some("Success") {
        let why = status.message.unwrap_or_default();
        bail!("`{}` in {pod} failed: {why}: {}", command.join(" "), complaints.trim());
    }
    Ok(written)
}

async fn read(
    from: Option<impl tokio::io::AsyncRead + Unpin>,
    into: &mut String,
) -> anyhow::Result<()> {
    if let Some(mut from) = from {
        from.read_to_string(into).await?;
    }
    Ok(())
}
