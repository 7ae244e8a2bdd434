// Elements made in one expression.

type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], 'style' | 'children' | 'dataset' | 'classList' | 'attributes'>
> & { class?: string; attributes?: Readonly<Record<string, string>> };

/** An element with properties, a class, attributes and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { class: className, attributes = {}, ...properties }: Properties<Tag> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = Object.assign(document.createElement(tag), properties);
  if (className !== undefined) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button that does something when pressed. */
export function button(label: string, onPress: () => void, className = ''): HTMLButtonElement {
  const made = element('button', { type: 'button', class: className }, label);
  made.addEventListener('click', onPress);
  return made;
}

/** A name in front of a control. */
export function labelled(text: string, control: HTMLElement, hint?: string): HTMLLabelElement {
  const words = element('span', { class: 'label' }, text);
  if (hint !== undefined) words.append(element('small', {}, hint));
  return element('label', { class: 'field' }, words, control);
}

/** Choices of which one holds. */
export function choices<Value extends string>(options: Readonly<Record<Value, string>>, chosen: NoInfer<Value>) {
  const select = element('select');
  for (const [value, text] of Object.entries<string>(options)) select.append(new Option(text, value));
  select.value = chosen;
  return Object.assign(select, { choice: () => select.value as Value });
}
