//! Declares metrics: the comment of a field is its help text.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// Declares a struct of metrics and registers all of them. A metric is one line:
///
/// ```text
/// /// Watches of the cluster that failed and were tried again
/// failures: Counter = "watch_failures",
/// ```
///
/// The registry adds the prefix `callgate_`, the unit, and `_total` to counters.
macro_rules! metrics {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $kind:ty = $metric:literal $(in $unit:ident)? $(as $make:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $name {
            $($(#[doc = $help])+ $field: $kind,)*
        }

        impl $name {
            pub(super) fn register(registry: &mut prometheus_client::registry::Registry) -> Self {
                Self {
                    $($field: {
                        let metric: $kind = metrics!(@make $kind $(, $make)?);
                        let help = concat!($($help),+).trim();
                        metrics!(@register registry, $metric, help, metric $(, $unit)?);
                        metric
                    },)*
                }
            }
        }
    };
    (@make $kind:ty) => { <$kind>::default() };
    (@make $kind:ty, $make:expr) => { $make };
    (@register $registry:ident, $name:literal, $help:ident, $metric:ident) => {
        $registry.register($name, $help, $metric.clone());
    };
    (@register $registry:ident, $name:literal, $help:ident, $metric:ident, $unit:ident) => {
        let unit = prometheus_client::registry::Unit::$unit;
        $registry.register_with_unit($name, $help, unit, $metric.clone());
    };
}

pub(super) use metrics;

/// One series for each value of labels.
pub(super) type Counters<L> = Family<L, Counter>;
pub(super) type Gauges<L> = Family<L, Gauge>;

/// Which object of the cluster a metric is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Object {
    pub(super) object: &'static str,
}
