//! The databases in `RESTORE.md`. What a database is called is never part of a command: whoever chose it does not choose what is
//! typed here.

use std::fmt::Write;

use super::{Manifest, Part};
use crate::database::{DatabaseDump, DumpContent, DumpMode, DumpObject};

/// Where a dump lies.
pub(super) fn place(part: &Part) -> String {
    match part.dump.as_ref().and_then(|dump| dump.objects.first()) {
        Some(object) => format!("vault, `{}`", folder(object)),
        None => "nowhere".into(),
    }
}

/// How each is restored. They have no order with the rest.
pub(super) fn all(text: &mut String, m: &Manifest) {
    let dumps: Vec<&DatabaseDump> = m.parts.iter().filter_map(|part| part.dump.as_ref()).collect();
    if dumps.is_empty() {
        return;
    }
    line!(text, "\n## 5. Restore the databases\n");
    line!(
        text,
        "They belong to no snapshot above and can be restored at any time, while what uses them is stopped. Set `PGHOST`, `PGPORT` and `PGUSER` to the server and an administrator's login first, and use PostgreSQL's tools \
         of the version named here or later; the server must not be older either.\n"
    );
    for dump in dumps {
        one(text, dump);
    }
}

fn one(text: &mut String, dump: &DatabaseDump) {
    let server = &dump.server;
    line!(text, "### {}\n", dump.name);
    line!(
        text,
        "Database {:?} of PostgreSQL {}, owner {:?}, encoding {}, collation {:?}, dumped by {} {}.\n",
        server.database,
        server.version,
        server.owner,
        server.encoding,
        server.collate,
        if dump.mode == DumpMode::Database { "pg_dump" } else { "pg_dumpall" },
        server.tool
    );
    if let Some(object) = dump.objects.first() {
        line!(text, "Copy the folder `{}` out of the vault, and in the copy:\n", folder(object));
    }
    line!(text, "```bash");
    for object in &dump.objects {
        let (name, bytes) = (object.holds.object(), object.unpacked_bytes);
        line!(text, "echo '{}  {name}' | sha256sum -c    # unpacks to {bytes} bytes", object.sha256);
    }
    match dump.mode {
        DumpMode::Database => of_database(text, dump),
        DumpMode::Dumpall => of_server(text),
    }
    line!(text, "```\n");
    if !server.role_passwords {
        line!(
            text,
            "The login could not read the roles' passwords: set them anew (`ALTER ROLE … PASSWORD …`).\n"
        );
    }
}

fn of_database(text: &mut String, dump: &DatabaseDump) {
    let (name, archive) = (&dump.name, DumpContent::Database.object());
    let globals = DumpContent::Globals.object();
    line!(text, "zstd -dc {globals} | psql -X -w -d postgres    # \"already exists\" is no harm");
    line!(text, "createdb -w -T template0 -E {} {name}-restored", dump.server.encoding);
    line!(text, "zstd -d {archive} -o {name}.dump");
    line!(text, "pg_restore -w --exit-on-error -j 2 -d {name}-restored {name}.dump");
    line!(text, "vacuumdb -w --analyze-in-stages -d {name}-restored");
    line!(
        text,
        "# Then, in psql: ALTER DATABASE … RENAME TO … for the old one and for \"{name}-restored\", and ALTER DATABASE … OWNER TO …"
    );
}

fn of_server(text: &mut String) {
    let script = DumpContent::Everything.object();
    line!(text, "# Into an empty server: it creates every role and every database of the old one.");
    line!(text, "zstd -d {script} -o dump.psql && psql -X -w -d postgres -f dump.psql");
    line!(text, "vacuumdb -w --analyze-in-stages --all");
}

fn folder(object: &DumpObject) -> &str {
    object.path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
