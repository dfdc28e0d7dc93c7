//! The flags of the CA: its objects in the cluster, the names that it signs, and its lifetimes.

use clap::Args;

use super::lifetimes::Lifetimes;

/// All flags of the CA.
#[derive(Args, Clone, Debug)]
pub struct CaFlags {
    #[command(flatten)]
    pub objects: CaObjects,

    #[command(flatten)]
    pub service: Service,

    #[command(flatten)]
    pub lifetimes: Lifetimes,
}

/// The Secret that holds the CA, and the configurations that its certificate is published in.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CaObjects {
    /// Secret in which all replicas share the CA
    #[arg(long, value_name = "NAME", default_value = "callgate-ca", env = "CALLGATE_CA_SECRET")]
    pub ca_secret: String,

    /// Namespace of that Secret; if unset, the namespace of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CALLGATE_CA_SECRET_NAMESPACE")]
    pub ca_secret_namespace: Option<String>,

    /// `MutatingWebhookConfiguration` into which callgate writes the CA as caBundle
    #[arg(
        long,
        value_name = "NAME",
        default_value = "callgate",
        env = "CALLGATE_MUTATING_CONFIGURATION"
    )]
    pub mutating_configuration: String,

    /// `ValidatingWebhookConfiguration` into which callgate writes the CA as caBundle
    #[arg(
        long,
        value_name = "NAME",
        default_value = "callgate",
        env = "CALLGATE_VALIDATING_CONFIGURATION"
    )]
    pub validating_configuration: String,
}

/// The Service by whose DNS name the API server verifies a replica.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Service by which the API server calls callgate: the serving certificate is for its DNS name
    #[arg(long, value_name = "NAME", default_value = "callgate", env = "CALLGATE_SERVICE")]
    pub service: String,

    /// Namespace of that Service; if unset, the namespace of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CALLGATE_SERVICE_NAMESPACE")]
    pub service_namespace: Option<String>,
}

impl Service {
    /// The DNS names of the Service; `own` is the namespace of the pod. The API server verifies
    /// the first one (`ServerNameFor` in its `webhook` package).
    pub(super) fn names(&self, own: &str) -> [String; 2] {
        let Self { service, service_namespace } = self;
        let namespace = service_namespace.as_deref().unwrap_or(own);
        ["svc", "svc.cluster.local"].map(|it| format!("{service}.{namespace}.{it}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        service: Service,
    }

    #[rstest]
    #[case::as_it_comes("", "callgate.here.svc")]
    #[case::another_service("--service=gate", "gate.here.svc")]
    #[case::somewhere_else("--service-namespace=there", "callgate.there.svc")]
    fn the_api_server_verifies(#[case] flags: &str, #[case] expected: &str) {
        let words = ["callgate"].into_iter().chain(flags.split_whitespace());
        let Flags { service } = Flags::try_parse_from(words).unwrap();
        assert_eq!(
            service.names("here"),
            [expected.to_owned(), format!("{expected}.cluster.local")]
        );
    }
}
