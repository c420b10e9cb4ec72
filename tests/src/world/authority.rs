//! The cluster's CA in the model world, its renewal, and the law that nodes let each other in all the while.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use ottla_plan::action::{AuthorityStep, RenewAuthority};
use ottla_plan::authority::CLIENTS_LEARN_SECONDS;
use ottla_plan::certificate::AUTHORITY_LIFE_SECONDS;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Authority, Certificate, NextAuthority};

use super::nodes::has_jvm;
use super::store::Refused;
use super::{Agent, Issued, Pod, World};

/// What the CA's Secret holds beside the CA that signs.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// The CAs that are trusted, by serial number, PEM.
    pub(super) trusted: BTreeMap<String, String>,
    /// The CA that is to sign next.
    pub(super) next: Option<Certificate>,
    /// What the KafkaCluster's annotation said that asked for it.
    pub(super) word: Option<String>,
    /// Since when clients can read of a CA, by its serial number, in seconds since the epoch.
    pub(super) published: BTreeMap<String, i64>,
}

/// A certificate as a file would show it.
pub(super) fn pem(certificate: &Certificate) -> String {
    format!("certificate {} of {}", certificate.serial, certificate.common_name)
}

impl World {
    /// The CA as its Secret shows it.
    pub(super) fn authority(&self) -> Option<Authority> {
        let secret = self.store.get(Kind::Secret, &self.names().authority())?;
        let signer = self.certificates.get(&secret.uid)?.certificate.clone();
        let pems: Vec<&str> = self.trust.trusted.values().map(String::as_str).collect();
        Some(Authority {
            trusted_pem: pems.join("\n"),
            trusted: self.trust.trusted.keys().cloned().collect(),
            next: self.trust.next.as_ref().map(|next| NextAuthority {
                serial: next.serial.clone(),
                made_at_seconds: next.expires_at_seconds - AUTHORITY_LIFE_SECONDS,
            }),
            word: self.trust.word.clone(),
            signer,
        })
    }

    /// A CA's own certificate.
    pub(super) fn new_authority(&mut self, common_name: &str) -> Certificate {
        let serial = self.store.number().to_string();
        Certificate {
            serial,
            expires_at_seconds: self.now.as_second() + AUTHORITY_LIFE_SECONDS,
            common_name: common_name.to_owned(),
            dns_names: BTreeSet::new(),
            trusted: true,
            is_of_trusted_authority: true,
            authorities: BTreeSet::new(),
        }
    }

    pub(super) fn renew_authority(
        &mut self,
        renew: &RenewAuthority,
    ) -> Result<Result<(), Refused>> {
        let name = renew.target.name.clone();
        if let Err(refused) = self.store.expect(Kind::Secret, &renew.target) {
            return Ok(Err(refused));
        }
        match &renew.step {
            AuthorityStep::Introduce { common_name, word } => {
                let next = self.new_authority(common_name);
                self.trust.trusted.insert(next.serial.clone(), pem(&next));
                self.trust.next = Some(next);
                self.trust.word.clone_from(word);
            }
            AuthorityStep::Switch => {
                self.hold_publication()?;
                self.switch_authority(&name);
            }
            AuthorityStep::Retire => {
                let signer = self.authority().map(|authority| authority.signer.serial);
                self.trust.trusted.retain(|serial, _| Some(serial) == signer.as_ref());
            }
        }
        let step = self.store.number();
        let written = self.store.write(Kind::Secret, &name, &["data", "step"], step.into());
        self.hold_trust()?;
        Ok(written)
    }

    fn switch_authority(&mut self, name: &str) {
        let Some(next) = self.trust.next.take() else { return };
        if let Some(secret) = self.store.get(Kind::Secret, name) {
            let signer = next.serial.clone();
            self.certificates.insert(secret.uid.clone(), Issued { certificate: next, signer });
        }
    }

    /// Notes of which CAs clients can read by now.
    pub(super) fn note_publication(&mut self) {
        let map = self.store.get(Kind::ConfigMap, &self.names().authority());
        let text = map.and_then(|map| map.live.pointer("/data/ca.crt")?.as_str());
        let text = text.unwrap_or_default();
        for (serial, _) in self.trust.trusted.iter().filter(|(_, pem)| text.contains(*pem)) {
            self.trust.published.entry(serial.clone()).or_insert(self.now.as_second());
        }
    }

    /// S8: clients could read of a new CA for long enough before any broker shows a certificate of it.
    fn hold_publication(&self) -> Result<()> {
        let next = self.trust.next.as_ref().map(|next| &next.serial);
        let since = next.and_then(|serial| self.trust.published.get(serial));
        let seconds = since.map(|since| self.now.as_second() - since);
        if seconds.is_none_or(|seconds| seconds < CLIENTS_LEARN_SECONDS) {
            bail!("S8: the new CA signs, and clients can read of it for {seconds:?} s");
        }
        Ok(())
    }

    /// S8: every node lets every other in. Each trusts what it was started with.
    pub(super) fn hold_trust(&self) -> Result<()> {
        let runs = |pod: &&Pod| matches!(&pod.agent, Agent::Speaks(state, _) if has_jvm(*state));
        let issued =
            |pod: &'_ Pod| pod.certificate.clone().map(|issued| (pod.name.clone(), issued));
        let running: Vec<(String, Issued)> =
            self.pods.values().filter(runs).filter_map(issued).collect();
        for (one, of_one) in &running {
            let shut_out = running
                .iter()
                .find(|(_, other)| !other.certificate.authorities.contains(&of_one.signer));
            if let Some((other, _)) = shut_out {
                bail!("S8: {other} does not trust the CA of {one}");
            }
        }
        Ok(())
    }
}
