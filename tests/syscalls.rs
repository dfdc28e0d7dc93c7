//! Compares our table of system calls with the kernel's tables.

use std::{collections::BTreeMap, fmt::Write, fs};

use syscalls::{aarch64, arm, loongarch64, powerpc64, riscv64, s390x, x86, x86_64};

const TABLE: &str = "src/profile/syscalls.txt";

/// Newer than the tables: Linux 6.19 and 7.0. Since 424 (Linux 5.1) a new call
/// has the same number everywhere.
const NEWER: [(&str, u32); 2] = [("listns", 470), ("rseq_slice_yield", 471)];

/// Calls that libseccomp 2.5.4 also resolves, on 32-bit Arm or on architectures
/// that the tables do not have.
const RESOLVED: [(&str, Option<u32>); 9] = [
    ("breakpoint", Some(983_041)),
    ("cachectl", None),
    ("cacheflush", Some(983_042)),
    ("get_tls", Some(983_046)),
    ("set_tls", Some(983_045)),
    ("syscall", None),
    ("sysmips", None),
    ("usr26", Some(983_043)),
    ("usr32", Some(983_044)),
];

const ARM: usize = 2;

/// Calls with another name in the tables of some architectures.
const BESIDES: [(&str, &[usize], u32); 1] = [("newfstatat", &[3, 5, 7], 79)];

type Columns = [Option<u32>; 8];

/// `CALLGATE_UPDATE=1 cargo test --test syscalls` writes the table anew.
#[test]
fn the_table_holds_the_calls_of_every_architecture() {
    let mut calls = BTreeMap::<&str, Columns>::new();
    for (name, number) in NEWER {
        calls.insert(name, [Some(number); 8]);
    }
    for (name, number) in RESOLVED {
        calls.entry(name).or_default()[ARM] = number;
    }
    // The order is that of the columns.
    macro_rules! fill {
        ($($column:literal $module:ident),*) => {$(
            for call in $module::Sysno::iter() {
                let number = u32::try_from(call.id()).expect("numbers are small");
                calls.entry(call.name().trim_start_matches("r#")).or_default()[$column] = Some(number);
            }
        )*};
    }
    fill!(0 x86, 1 x86_64, 2 arm, 3 aarch64, 4 powerpc64, 5 riscv64, 6 s390x, 7 loongarch64);
    // libseccomp knows it by that other name alone.
    calls.remove("fstatat");
    for (name, columns, number) in BESIDES {
        for column in columns {
            calls.entry(name).or_default()[*column] = Some(number);
        }
    }
    let mut expected = String::new();
    for (name, numbers) in calls {
        write!(expected, "{name}").expect("a string takes everything");
        for number in numbers {
            let word = number.map_or_else(|| "-".to_owned(), |it| it.to_string());
            write!(expected, " {word}").expect("a string takes everything");
        }
        expected.push('\n');
    }
    if std::env::var_os("CALLGATE_UPDATE").is_some() {
        fs::write(TABLE, &expected).expect("the source tree is writable");
    }
    assert_eq!(fs::read_to_string(TABLE).expect("the table is there"), expected);
}
