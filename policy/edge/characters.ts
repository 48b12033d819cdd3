/** Whether a text holds a control character other than those given. */
export function hasControl(text: string, but = ""): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if ((code < 0x20 || code === 0x7f) && !but.includes(text.charAt(index))) return true;
  }
  return false;
}
