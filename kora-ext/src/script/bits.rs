//! The `bit` library.
//!
//! Owns: operations on 32-bit words, as LuaBitOp defines them. Refuses to know: anything else. Start at [`add`].

use mlua::Lua;

use super::arguments::Arguments;
use super::natives::Natives;

/// Adds the native functions.
pub(super) fn add(native: &Natives<'_>) -> mlua::Result<()> {
    unary(native, "tobit", |word| word)?;
    unary(native, "bnot", |word| !word)?;
    unary(native, "bswap", u32::swap_bytes)?;
    fold(native, "band", |left, right| left & right)?;
    fold(native, "bor", |left, right| left | right)?;
    fold(native, "bxor", |left, right| left ^ right)?;
    shift(native, "lshift", |word, by| word << by)?;
    shift(native, "rshift", |word, by| word >> by)?;
    shift(native, "arshift", |word, by| (word as i32 >> by) as u32)?;
    shift(native, "rol", u32::rotate_left)?;
    shift(native, "ror", u32::rotate_right)?;
    native.add_checked("tohex", to_hex)?;
    Ok(())
}

/// The lowest 32 bits of a number that is rounded to an integer, halves to even. Adding 2⁵² + 2⁵¹ leaves them at the end of the mantissa.
fn word(lua: &Lua, arguments: &Arguments, index: usize, name: &str) -> Result<u32, String> {
    const SHIFT_OUT_FRACTION: f64 = 6_755_399_441_055_744.0;
    Ok((arguments.number(lua, index, name)? + SHIFT_OUT_FRACTION).to_bits() as u32)
}

/// Results are signed.
fn signed(word: u32) -> f64 {
    f64::from(word as i32)
}

fn unary(native: &Natives<'_>, name: &'static str, perform: fn(u32) -> u32) -> mlua::Result<()> {
    native.add_checked(name, move |lua, arguments| Ok(signed(perform(word(lua, &arguments, 0, name)?))))?;
    Ok(())
}

fn fold(native: &Natives<'_>, name: &'static str, perform: fn(u32, u32) -> u32) -> mlua::Result<()> {
    native.add_checked(name, move |lua, arguments| {
        let mut result = word(lua, &arguments, 0, name)?;
        for index in (1..arguments.len()).rev() {
            result = perform(result, word(lua, &arguments, index, name)?);
        }
        Ok(signed(result))
    })?;
    Ok(())
}

fn shift(native: &Natives<'_>, name: &'static str, perform: fn(u32, u32) -> u32) -> mlua::Result<()> {
    native.add_checked(name, move |lua, arguments| {
        let subject = word(lua, &arguments, 0, name)?;
        let by = word(lua, &arguments, 1, name)? & 31;
        Ok(signed(perform(subject, by)))
    })?;
    Ok(())
}

fn to_hex(lua: &Lua, arguments: Arguments) -> Result<String, String> {
    let subject = word(lua, &arguments, 0, "tohex")?;
    let digits = if arguments.len() < 2 { 8 } else { word(lua, &arguments, 1, "tohex")? as i32 };
    let text = if digits < 0 { format!("{subject:08X}") } else { format!("{subject:08x}") };
    let count = digits.unsigned_abs().min(8) as usize;
    Ok(text[8 - count..].to_owned())
}
