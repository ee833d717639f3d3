//! From a schema to where its defaults go.

use std::collections::HashMap;

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{At, Branches, Defaults, Member, Node};
use crate::SchemaError;
use crate::keywords::{below, escaped};
use crate::metered::{Allowance, Metered};
use crate::path::fragment;

/// Compiles a schema, or a part of one.
pub(crate) type Compile<'c> = &'c dyn Fn(&Value) -> Option<Validator<Metered>>;

impl Defaults {
    /// Collects the defaults of a schema. Where `ref_is_alone`, keywords beside a `$ref` do not count. Filling in those
    /// that are within defaults takes no more than `allowance`.
    ///
    /// # Errors
    /// [`SchemaError`] where defaults go on without end.
    pub(crate) fn read(
        schema: &Value,
        ref_is_alone: bool,
        allowance: Allowance,
        compile: Compile<'_>,
    ) -> Result<Self, SchemaError> {
        if !holds_default(schema) {
            return Ok(Self::default());
        }
        let mut reader = Reader {
            root: schema,
            ref_is_alone,
            compile,
            nodes: Vec::new(),
            known: HashMap::new(),
        };
        reader.node("", schema, &mut Vec::new());
        let mut defaults = Self { nodes: reader.nodes };
        defaults.keep_useful();
        defaults.endless(allowance).map_or(Ok(defaults), Err)
    }

    /// Takes out the ways that lead to no default.
    fn keep_useful(&mut self) {
        let mut useful = vec![false; self.nodes.len()];
        loop {
            let is_useful = |at: Option<At>| at.is_some_and(|at| useful.get(at).copied().unwrap_or_default());
            let next: Vec<bool> = self.nodes.iter().map(|node| node.leads_to(&is_useful)).collect();
            if next == useful {
                break;
            }
            useful = next;
        }
        let keep = |at: &mut Option<At>| *at = at.filter(|at| useful.get(*at).copied().unwrap_or_default());
        for node in &mut self.nodes {
            node.members.iter_mut().for_each(|member| keep(&mut member.below));
            node.patterns.iter_mut().for_each(|(_, below)| keep(below));
            node.tuple.iter_mut().for_each(|(_, below)| keep(below));
            keep(&mut node.additional);
            keep(&mut node.items);
            node.dependencies
                .retain(|(_, below)| useful.get(*below) == Some(&true));
            node.all.retain(|below| useful.get(*below) == Some(&true));
            if let Some(branches) = &mut node.branches {
                keep(&mut branches.then);
                keep(&mut branches.otherwise);
            }
            node.branches
                .take_if(|branches| branches.then.is_none() && branches.otherwise.is_none());
            // The names count for what is additional.
            if node.additional.is_none() {
                node.members
                    .retain(|member| member.default.is_some() || member.below.is_some());
                node.patterns.retain(|(_, below)| below.is_some());
            }
        }
        if useful.first() != Some(&true) {
            self.nodes.clear();
        }
    }
}

impl Node {
    fn leads_to(&self, useful: &impl Fn(Option<At>) -> bool) -> bool {
        self.members
            .iter()
            .any(|member| member.default.is_some() || useful(member.below))
            || self
                .tuple
                .iter()
                .any(|(default, below)| default.is_some() || useful(*below))
            || self.patterns.iter().any(|(_, below)| useful(*below))
            || self.dependencies.iter().any(|(_, below)| useful(Some(*below)))
            || self.all.iter().any(|below| useful(Some(*below)))
            || useful(self.additional)
            || useful(self.items)
            || self
                .branches
                .as_ref()
                .is_some_and(|branches| useful(branches.then) || useful(branches.otherwise))
    }
}

/// True if the word stands anywhere: most schemas need no more than this look.
fn holds_default(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.contains_key("default") || members.values().any(holds_default),
        Value::Array(items) => items.iter().any(holds_default),
        _ => false,
    }
}

struct Reader<'r> {
    root: &'r Value,
    ref_is_alone: bool,
    compile: Compile<'r>,
    nodes: Vec<Node>,
    known: HashMap<String, At>,
}

impl<'r> Reader<'r> {
    /// The node of the schema at `pointer`. `here` are the nodes that look at the same value; one that leads to itself does
    /// nothing new.
    fn node(&mut self, pointer: &str, schema: &'r Value, here: &mut Vec<At>) -> Option<At> {
        if let Some(known) = self.known.get(pointer) {
            return (!here.contains(known)).then_some(*known);
        }
        let schema = schema.as_object()?;
        let at = self.nodes.len();
        self.nodes.push(Node::default());
        self.known.insert(pointer.to_owned(), at);
        here.push(at);
        let mut node = Node {
            pointer: pointer.to_owned(),
            ..Node::default()
        };
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| self.target(target, here));
        node.all.extend(target);
        if !self.ref_is_alone || !schema.get("$ref").is_some_and(Value::is_string) {
            self.object(&mut node, schema, here);
            self.array(&mut node, schema);
            for (place, all) in list(schema, "allOf").iter().enumerate() {
                let all = self.node(&format!("{pointer}/allOf/{place}"), all, here);
                node.all.extend(all);
            }
            node.branches = self.branches(pointer, schema, here);
        }
        here.pop();
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
        Some(at)
    }

    fn target(&mut self, target: &str, here: &mut Vec<At>) -> Option<At> {
        let pointer = percent_decode_str(target.strip_prefix('#')?).decode_utf8().ok()?;
        let root = self.root;
        self.node(&pointer, root.pointer(&pointer)?, here)
    }

    fn below(&mut self, node: &Node, keyword: &str, name: &str, schema: &'r Value) -> Option<At> {
        let end = if name.is_empty() {
            String::new()
        } else {
            format!("/{}", escaped(name))
        };
        self.node(
            &format!("{}/{keyword}{end}", node.pointer),
            schema,
            &mut Vec::new(),
        )
    }

    fn object(&mut self, node: &mut Node, schema: &'r Map<String, Value>, here: &mut Vec<At>) {
        for (name, member) in map(schema, "properties") {
            let below = self.below(node, "properties", name, member);
            node.members.push(Member {
                name: name.clone(),
                default: default(member),
                below,
            });
        }
        for (name, needed) in map(schema, "dependencies") {
            let pointer = format!("{}/dependencies/{}", node.pointer, escaped(name));
            let below = self.node(&pointer, needed, here);
            node.dependencies.extend(below.map(|below| (name.clone(), below)));
        }
        for (text, member) in map(schema, "patternProperties") {
            let below = self.below(node, "patternProperties", text, member);
            let pattern = (self.compile)(&json!({"pattern": text}));
            node.patterns.extend(pattern.map(|pattern| (pattern, below)));
        }
        let additional = schema.get("additionalProperties");
        node.additional =
            additional.and_then(|additional| self.below(node, "additionalProperties", "", additional));
    }

    fn array(&mut self, node: &mut Node, schema: &'r Map<String, Value>) {
        let tuple = list(schema, "items");
        for (place, item) in tuple.iter().enumerate() {
            let below = self.below(node, "items", &place.to_string(), item);
            node.tuple.push((default(item), below));
        }
        let rest = if tuple.is_empty() {
            "items"
        } else {
            "additionalItems"
        };
        node.items = schema
            .get(rest)
            .and_then(|items| self.below(node, rest, "", items));
    }

    fn branches(
        &mut self,
        pointer: &str,
        schema: &'r Map<String, Value>,
        here: &mut Vec<At>,
    ) -> Option<Branches> {
        let place = format!("{pointer}/if");
        if !schema.contains_key("if")
            || !["then", "else"]
                .iter()
                .any(|branch| schema.get(*branch).is_some_and(holds_default))
        {
            return None;
        }
        let mut branch = |name: &str| {
            let schema = schema.get(name)?;
            self.node(&format!("{pointer}/{name}"), schema, here)
        };
        let (then, otherwise) = (branch("then"), branch("else"));
        // The condition by itself, in a document in which its `$ref`s lead to where they did.
        let mut root = self.root.clone();
        moved(&mut root);
        let condition = json!({
            "definitions": {"root": root},
            "$ref": format!("#/definitions/root{}", fragment(&place)),
        });
        Some(Branches {
            condition: (self.compile)(&condition)?,
            then,
            otherwise,
        })
    }
}

fn default(schema: &Value) -> Option<String> {
    schema.get("default").map(Value::to_string)
}

fn map<'s>(schema: &'s Map<String, Value>, keyword: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    schema
        .get(keyword)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn list<'s>(schema: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Makes each `$ref` one into the document at `/definitions/root`.
fn moved(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    if let Some(Value::String(target)) = schema.get_mut("$ref")
        && target.starts_with('#')
    {
        target.insert_str(1, "/definitions/root");
    }
    for (_, schema) in below(schema) {
        moved(schema);
    }
}
