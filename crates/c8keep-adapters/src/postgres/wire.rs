//! What PostgreSQL's tools and servers say: versions, the answer to the one query, and how a dump begins and ends.

use c8keep_core::database::{DatabaseServer, DumpContent, DumpMode, shown};
use serde::Deserialize;

/// Everything that has to be known of a server before a dump, in one read-only query. Tables that belong to an extension are
/// not dumped; neither are the server's own. A sequence is read like a table; a large object is not, and `pg_read_all_data` does
/// not include it (seen with PostgreSQL 15 and 18).
pub(super) const QUERY: &str = r"select pg_catalog.json_build_object(
  'version', pg_catalog.current_setting('server_version'),
  'number', pg_catalog.current_setting('server_version_num')::int,
  'database', pg_catalog.current_database(),
  'user', current_user,
  'owner', pg_catalog.pg_get_userbyid(d.datdba),
  'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
  'collate', d.datcollate,
  'ctype', d.datctype,
  'bytes', pg_catalog.pg_database_size(d.oid),
  'role_passwords', pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  'broken_names', (select pg_catalog.count(*) from pg_catalog.pg_database where datallowconn and datname ~ E'[\\n\\r]'),
  'unreadable', (select pg_catalog.array_agg(t.name) from (
    select c.oid::pg_catalog.regclass::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'S') and c.relpersistence <> 't'
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_catalog.pg_depend e
        where e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid and e.deptype = 'e')
      and not (pg_catalog.has_schema_privilege(n.oid, 'USAGE') and case c.relkind
        when 'S' then pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
        else pg_catalog.has_table_privilege(c.oid, 'SELECT') end)
    order by 1 limit 3) t),
  'large_object', (select m.oid::text from pg_catalog.pg_largeobject_metadata m
    where pg_catalog.current_setting('server_version_num')::int < 190000
      and pg_catalog.current_setting('is_superuser') <> 'on'
      and pg_catalog.current_setting('lo_compat_privileges') <> 'on'
      and not exists (
        select from pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a
        where a.privilege_type = 'SELECT'
          and case a.grantee when 0 then true else pg_catalog.pg_has_role(a.grantee, 'USAGE') end)
    limit 1)
) from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";

/// The answer to [`QUERY`].
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    version: String,
    number: u32,
    database: String,
    user: String,
    owner: String,
    encoding: String,
    collate: String,
    ctype: String,
    bytes: u64,
    role_passwords: bool,
    broken_names: u32,
    #[serde(default)]
    unreadable: Option<Vec<String>>,
    #[serde(default)]
    large_object: Option<String>,
}

/// A tool's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolVersion {
    /// As it tells it, without the packager's remark.
    pub(super) text: String,
    /// What compatibility depends on.
    pub(super) major: u32,
}

/// Why a database is refused, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    pub(super) hint: String,
}

/// Stands in hints for the database's place in the configuration.
pub(super) const PLACE: &str = "databases.…";

/// From `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
pub(super) fn tool_version(told: &str) -> Option<ToolVersion> {
    let text = told.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let major: String = text.chars().take_while(char::is_ascii_digit).collect();
    Some(ToolVersion { text: text.to_owned(), major: major.parse().ok()? })
}

/// The answer to [`QUERY`], or what came instead.
pub(super) fn told(answer: &str) -> Result<Told, String> {
    serde_json::from_str(answer.trim()).map_err(|_| answer.trim().chars().take(200).collect())
}

impl Told {
    /// What would make the dump fail, as far as it can be known.
    pub(super) fn refused(&self, tool: &ToolVersion, mode: DumpMode) -> Option<Refusal> {
        // "pg_dump cannot dump from PostgreSQL servers newer than its own major version."
        let major = self.number / 10_000;
        if tool.major < major {
            let newer = format!("{major} or later");
            return Some(Refusal {
                why: format!("the server has version {}, the tools here {}", self.version, tool.text),
                hint: format!(
                    "install PostgreSQL's client tools of version {newer} and set `{PLACE}.tools` to their folder, such as \
                     /usr/lib/postgresql/{major}/bin"
                ),
            });
        }
        let unreadable = self.unreadable.as_deref().unwrap_or_default();
        if let (DumpMode::Database, [first, rest @ ..]) = (mode, unreadable) {
            let others = if rest.is_empty() { "" } else { " and others" };
            return Some(Refusal {
                why: format!("{} may not read {}{others}", self.user, shown(first)),
                hint: format!(
                    "GRANT pg_read_all_data TO {:?}; (PostgreSQL 14 and later), or use the owner's login",
                    self.user
                ),
            });
        }
        if let (DumpMode::Database, Some(oid)) = (mode, &self.large_object) {
            return Some(Refusal {
                why: format!("{} may not read the large object {oid}", self.user),
                hint: "GRANT SELECT ON LARGE OBJECT for each of them (pg_read_all_data does not include them), or use the owner's \
                       login"
                    .into(),
            });
        }
        // "shell command argument contains a newline or carriage return": pg_dumpall stops there.
        if mode == DumpMode::Dumpall && self.broken_names > 0 {
            return Some(Refusal {
                why: "a database of this server has a line break in its name, and pg_dumpall refuses those"
                    .into(),
                hint: "rename it, or dump the databases one by one: leave `mode` out".into(),
            });
        }
        None
    }

    /// As evidence.
    pub(super) fn server(self, tool: String) -> DatabaseServer {
        let Told { version, database, owner, encoding, collate, ctype, bytes, role_passwords, .. } = self;
        // "15.18 (Debian 15.18-0+deb12u1)"
        let version = version.split_whitespace().next().unwrap_or_default().to_owned();
        DatabaseServer { version, tool, database, owner, encoding, collate, ctype, bytes, role_passwords }
    }
}

/// What is seen of a dump that passes by.
pub(super) struct Shape {
    holds: DumpContent,
    bytes: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// The first bytes of `pg_dump`'s custom format.
const MAGIC: &[u8] = b"PGDMP";
/// The last words of `pg_dumpall`; after them only empty lines, dashes and, in some minor versions, `\unrestrict`.
const END: &str = "-- PostgreSQL database cluster dump complete";
/// Enough for all of that.
const TAIL_MAX: usize = 1024;

impl Shape {
    /// Nothing is seen yet.
    pub(super) fn of(holds: DumpContent) -> Shape {
        Shape { holds, bytes: 0, head: Vec::new(), tail: Vec::new() }
    }

    /// The next piece.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let wanted = MAGIC.len().saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(wanted));
        let last = &piece[piece.len().saturating_sub(TAIL_MAX)..];
        self.tail.extend_from_slice(last);
        let surplus = self.tail.len().saturating_sub(TAIL_MAX);
        self.tail.drain(..surplus);
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it begins and ends as it should. A script that is cut in the middle runs in psql without an error, up to there
    /// (seen with PostgreSQL 15), so its last words must be there.
    pub(super) fn whole(&self) -> Result<(), &'static str> {
        if self.holds == DumpContent::Database {
            return if self.head == MAGIC { Ok(()) } else { Err("it is no archive of pg_dump") };
        }
        let tail = String::from_utf8_lossy(&self.tail);
        let beside = |line: &&str| {
            let line = line.trim();
            line.is_empty() || line == "--" || line.starts_with("\\unrestrict ")
        };
        match tail.lines().rev().find(|line| !beside(line)) {
            Some(END) => Ok(()),
            _ => Err("its last words are missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use c8keep_core::fault::{Fault, FaultKind};

    use super::*;

    /// What a server, a tool and a dump that passes by may turn out to be.
    #[test]
    fn fuzz_what_postgres_says() {
        let told_by_15 = br#"{"version": "15.18 (Debian 15.18-0+deb12u1)", "number": 150018, "database": "modeler", "user": "c8keep",
            "owner": "modeler", "encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.UTF-8", "bytes": 7635343,
            "role_passwords": false, "broken_names": 0, "unreadable": ["public.secrets"], "large_object": "16421"}"#;
        let examples = [
            told_by_15.to_vec(),
            b"pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n".to_vec(),
            format!("PGDMP and so on\n{END}\n--\n").into_bytes(),
        ];
        c8keep_fuzz::feed("what postgres says", &examples, |input| {
            let text = input.text();
            let tool = tool_version(&text);
            let version = tool.clone().unwrap_or(ToolVersion { text: "15.18".into(), major: 15 });
            let mode = input.pick(&[DumpMode::Database, DumpMode::Dumpall]);
            let refused = told(&text).map(|told| (told.refused(&version, mode), told.server("x".into())));
            let mut shape = Shape::of(input.pick(&[DumpContent::Database, DumpContent::Everything]));
            input.bytes.chunks(7).for_each(|piece| shape.take(piece));
            assert_eq!(shape.bytes(), input.bytes.len() as u64);
            let _ = shape.whole();
            let fault = |answer, hint| Fault::new(FaultKind::Strange, "asking", "x", answer).with_hint(hint);
            crate::fuzz::told::<()>(Err(match refused {
                Ok((Some(refusal), _)) => fault(refusal.why, refusal.hint),
                Ok((None, server)) => fault(server.version, server.database),
                Err(answer) => fault(answer, String::new()),
            }))
            .into_iter()
            .collect()
        });
    }
}
