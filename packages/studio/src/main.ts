// The page.
import { StudioPage } from './app.js';
import { createStudioEngine } from './engine/index.js';
import { keepForOffline } from './offline.js';

await keepForOffline();
const studio = new StudioPage(createStudioEngine());
document.querySelector('#studio')!.replaceChildren(studio.element);
await studio.start();
