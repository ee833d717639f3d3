//! The way to a page, at its top.

use eventstar_pages::Html;

/// Writes the way here: `repositories`, `folders` within it, and `current`. Links are relative to a folder that is `depth`
/// below `repositories`.
pub(crate) fn write(html: &mut Html, folders: &[&str], current: &str, depth: usize) {
    html.raw("<nav>");
    if depth > 0 {
        for (level, name) in std::iter::once(&"repositories").chain(folders).enumerate() {
            let up = depth.saturating_sub(level);
            let to = if up == 0 {
                "./".to_owned()
            } else {
                "../".repeat(up)
            };
            html.link(&to, name);
            html.raw(" / ");
        }
    }
    html.text(current);
    html.raw("</nav>\n");
}
