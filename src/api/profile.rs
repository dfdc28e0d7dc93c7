//! `SeccompProfile`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Status;

/// A profile in the format of the OCI runtime specification (config-linux, "Seccomp").
// `SCMP_ACT_NOTIFY` and its listener are left out on purpose: they make the runtime connect to a
// socket of the host (L6).
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompProfile",
    plural = "seccompprofiles",
    shortname = "scprof",
    category = "callgate",
    doc = "A seccomp profile, which agents install on every node. Pods name it callgate/NAME.json in localhostProfile.",
    status = "Status",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("at most 63 characters: nodes bear the name in the key of a label"),
    printcolumn(name = "Default", type_ = "string", json_path = ".spec.defaultAction"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status",
        description = "Whether callgate can read the profile, and the linter finds no error in it"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompProfileSpec {
    /// The action for system calls that no rule matches.
    pub default_action: Action,

    /// The errno that `SCMP_ACT_ERRNO` as `defaultAction` returns; if unset, EPERM (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub default_errno_ret: Option<i64>,

    /// Further architectures that the filter is for, such as the 32-bit one; the architecture of
    /// the node is always included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(max = 32))]
    pub architectures: Vec<Architecture>,

    /// Flags of the system call seccomp(2); if unset, the runtime chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(max = 8))]
    pub flags: Option<Vec<Flag>>,

    /// The rules. A system call that several rules match gets what libseccomp makes of them
    /// together, which is not always the first rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    pub syscalls: Vec<Syscall>,
}

/// A rule: an action for some system calls.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Syscall {
    /// The names of the system calls.
    #[schemars(length(min = 1, max = 1024), inner(length(min = 1, max = 64)))]
    pub names: Vec<String>,
    /// The action for these system calls.
    pub action: Action,
    /// The errno that `SCMP_ACT_ERRNO` returns, or the number that `SCMP_ACT_TRACE` reports; if
    /// unset, EPERM (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub errno_ret: Option<i64>,
    /// Conditions on the arguments, all of which must hold; if unset, every call matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub args: Vec<Arg>,
}

/// A condition on one argument of a system call.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg {
    /// The position of the argument, from 0.
    #[schemars(range(min = 0, max = 5))]
    pub index: i64,
    /// The number that the argument is compared with, or the mask of `SCMP_CMP_MASKED_EQ`: 64 bits
    /// without sign, written as a string from 2^63 on.
    pub value: IntOrString,
    /// The number that the masked argument of `SCMP_CMP_MASKED_EQ` is compared with, as `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_two: Option<IntOrString>,
    /// The comparison.
    pub op: Operator,
}

/// The actions of libseccomp, except `SCMP_ACT_NOTIFY`.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
#[expect(clippy::enum_variant_names, reason = "the names are libseccomp's")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    ScmpActKill,
    ScmpActKillProcess,
    ScmpActKillThread,
    ScmpActTrap,
    ScmpActErrno,
    ScmpActTrace,
    ScmpActAllow,
    ScmpActLog,
}

#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
#[expect(clippy::enum_variant_names, reason = "the names are libseccomp's")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operator {
    ScmpCmpNe,
    ScmpCmpLt,
    ScmpCmpLe,
    ScmpCmpEq,
    ScmpCmpGe,
    ScmpCmpGt,
    ScmpCmpMaskedEq,
}

/// The architectures that runc knows.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Architecture {
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X8664,
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64N32,
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64N32,
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64Le,
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390X,
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
}

#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Flag {
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv,
}
