//! The names of functions in a WASM module: they tell more in a stack trace, and are a tenth of what is uploaded.

use anyhow::{Context as _, Result};
use wasm_encoder::{RawSection, Section as _};
use wasmparser::{Parser, Payload};

/// `module` without its name section.
pub(crate) fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let mut kept = wasm_encoder::Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("not a WASM module")?;
        if matches!(&payload, Payload::CustomSection(section) if section.name() == "name") {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let data = module.get(range).context("a section ends after its module")?;
            RawSection { id, data }.append_to(&mut kept);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, CustomSection, Function, FunctionSection, Module, NameMap, NameSection, TypeSection,
    };

    use super::*;

    #[test]
    fn only_the_name_section_goes() {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        let other = CustomSection {
            name: "other".into(),
            data: (&[1, 2, 3]).into(),
        };
        module
            .section(&types)
            .section(&functions)
            .section(&code)
            .section(&other);
        let expected = module.as_slice().to_vec();
        let mut names = NameMap::new();
        names.append(0, "f");
        let mut section = NameSection::new();
        section.functions(&names);
        module.section(&section);
        let named = module.finish();
        assert!(named.len() > expected.len());
        assert_eq!(without_names(&named).unwrap(), expected);
        assert!(without_names(b"not a module").is_err());
    }
}
