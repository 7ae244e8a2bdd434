// Many state dicts as one, as a checkpoint holds networks, optimisers and averages side by side.
import type { nn, Tensor } from '@dagan/libtorch';
import { below } from '../../models/files/names.js';

/** What has a state: a module, an optimiser, an average. */
export type Section = { stateDict(): nn.StateDict; loadStateDict(state: nn.StateDict): void };

/** Sections by the prefix that their tensors' names get. */
export type Sections = readonly (readonly [prefix: string, section: Section])[];

/** Every tensor by prefix and name. Only the optimisers' step numbers are new; the others stay their owners' own. */
export function joinSections(sections: Sections): Map<string, Tensor> {
  return new Map(
    sections.flatMap(([prefix, section]) =>
      [...section.stateDict()].map(([name, value]) => [`${prefix}${name}`, value] as const),
    ),
  );
}

/**
 * Gives each section its tensors back.
 *
 * @param adapt what is to be changed of a section's tensors before they are loaded
 * @throws StateDictError if they are not those of these sections
 */
export function loadSections(
  sections: Sections,
  state: nn.StateDict,
  adapt: (section: Section, own: Map<string, Tensor>) => nn.StateDict = (_, own) => own,
): void {
  for (const [prefix, section] of sections) section.loadStateDict(adapt(section, below(prefix, state)));
}
