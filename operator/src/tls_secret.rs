//! What a Secret with a certificate holds, and under which keys.

use k8s_openapi::ByteString;
use kube::api::DynamicObject;

/// Key of a certificate in a Secret.
pub const CERTIFICATE: &str = "tls.crt";
/// Key of a private key in a Secret.
pub const KEY: &str = "tls.key";
/// Key of the next CA's certificate in the CA's Secret.
pub const NEXT_CERTIFICATE: &str = "next.crt";
/// Key of the next CA's private key in the CA's Secret.
pub const NEXT_KEY: &str = "next.key";
/// Key of the certificates of all CAs that are trusted.
pub const AUTHORITY: &str = "ca.crt";
/// Key of a private key with its certificate in one PEM file, as Kafka reads it.
pub const KEYSTORE: &str = "keystore.pem";

/// One entry of a Secret, decoded.
#[must_use]
pub fn entry(secret: &DynamicObject, key: &str) -> Option<Vec<u8>> {
    let encoded = secret.data.get("data")?.get(key)?.clone();
    let bytes: ByteString = serde_json::from_value(encoded).ok()?;
    Some(bytes.0)
}
