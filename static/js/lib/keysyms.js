// Keys as RFB names them, by the code that browsers give them, and text as somebody types it on a US keyboard.
// Source: X11 keysymdef.h; RFC 6143 7.5.4.

export const KEYSYMS = {
  AltLeft: 0xffe9,
  Backspace: 0xff08,
  ControlLeft: 0xffe3,
  ControlRight: 0xffe4,
  AltRight: 0xffea,
  Delete: 0xffff,
  Escape: 0xff1b,
  MetaLeft: 0xffeb,
  PrintScreen: 0xff61,
  ShiftLeft: 0xffe1,
  Tab: 0xff09,
  ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`F${index + 1}`, 0xffbe + index])),
};

const SHIFTED = '~!@#$%^&*()_+{}|:"<>?';
const CONTROLS = { "\n": 0xff0d, "\r": 0xff0d, "\t": 0xff09 };

// QEMU looks a keysym up in its keyboard map and takes the key alone: Shift is held for those that need it
export function strokeOf(character) {
  const point = character.codePointAt(0);
  const keysym = CONTROLS[character] ?? (point < 0x100 ? point : 0x01000000 | point);
  return { keysym, isShifted: SHIFTED.includes(character) || (character >= "A" && character <= "Z") };
}
