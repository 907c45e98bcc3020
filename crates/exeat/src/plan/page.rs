//! A plan as blocks of text, tables and pictures: what both the terminal and the HTML page are laid out from.

/// A whole plan, most important first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Names the plan.
    pub(crate) title: String,
    /// When it was planned for, and from what to what.
    pub(crate) subtitle: String,
    /// The one sentence to remember.
    pub(crate) headline: String,
    /// What belongs beside it.
    pub(crate) beside: Vec<String>,
    /// The rest.
    pub(crate) sections: Vec<Section>,
}

/// One part of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Names it in links; unique in the page; letters, digits and hyphens.
    pub(crate) anchor: String,
    /// Names it to people.
    pub(crate) title: String,
    /// What is in it, in order.
    pub(crate) blocks: Vec<Block>,
}

/// One piece of a section.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// A heading inside the section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A remark in smaller letters.
    Note(String),
    /// Something that must not be overlooked, or may be.
    Callout(Callout),
    /// A table.
    Table(Table),
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// A command that somebody copies.
    Code(String),
    /// A whole document; only where there is room for it.
    Document(String),
    /// A picture by the name of its file; only where there are pictures.
    Picture(&'static str),
}

/// A warning.
#[derive(Clone, Debug)]
pub(crate) struct Callout {
    /// How loud it is: [`Tone::Loud`] is read first.
    pub(crate) tone: Tone,
    /// What about.
    pub(crate) title: String,
    /// One sentence or two.
    pub(crate) text: String,
}

/// How something is meant. Always beside words that say the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Tone {
    /// As any other text.
    #[default]
    Plain,
    /// Less important.
    Quiet,
    /// Permitted, or good.
    Permit,
    /// Held, or doubtful.
    Hold,
    /// Denied, or bad.
    Deny,
    /// Not to be overlooked.
    Loud,
}

/// A table. All its rows have as many cells as it has columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Says what the table shows.
    pub(crate) caption: String,
    /// In order.
    pub(crate) columns: Vec<Column>,
    /// In order.
    pub(crate) rows: Vec<Row>,
    /// What was left out, such as `and 37 more`.
    pub(crate) more: Option<String>,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: ColumnKind,
}

/// What a column holds, and so how it is laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ColumnKind {
    /// An identifier: shortened only if nothing else can be.
    Id,
    /// Words: shortened first.
    Words,
    /// A number, aligned to the right and never shortened.
    Number,
    /// A number that is left out where there is no room for it.
    Extra,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// One for each column.
    pub(crate) cells: Vec<Cell>,
    /// True if the row stands out.
    pub(crate) marked: bool,
}

/// One value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// What it says.
    pub(crate) text: String,
    /// How it is meant.
    pub(crate) tone: Tone,
}

impl Table {
    /// Begins a table with these columns: each kind with its head.
    pub(crate) fn new(caption: impl Into<String>, columns: &[(ColumnKind, &str)]) -> Self {
        let column = |(kind, name): &(ColumnKind, &str)| Column { name: (*name).to_owned(), kind: *kind };
        Self { caption: caption.into(), columns: columns.iter().map(column).collect(), rows: Vec::new(), more: None }
    }

    /// Adds one row for each item, at most `limit`, and says how many were left out.
    pub(crate) fn fill<T>(mut self, items: &[T], limit: usize, row: impl Fn(&T) -> Vec<Cell>) -> Self {
        let rows = items.iter().take(limit).map(|item| Row { cells: row(item), marked: false });
        self.rows.extend(rows);
        let left_out = items.len().saturating_sub(limit);
        self.left_out(u64::try_from(left_out).unwrap_or(u64::MAX))
    }

    /// Says how many rows were left out, if any.
    pub(crate) fn left_out(mut self, rows: u64) -> Self {
        if rows > 0 {
            self.more = Some(format!("and {} more", super::words::count(rows)));
        }
        self
    }
}

impl Cell {
    /// Makes a cell that is meant in a certain way.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }
}
