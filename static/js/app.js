// The page's start: the custom elements, and what belongs to the page as a whole.
import "./elements/live-region.js";
import "./elements/live-value.js";
import "./elements/live-link.js";
import "./elements/live-notes.js";
import "./elements/load-chart.js";
import "./elements/piece-upload.js";
import "./elements/range-bar.js";
import "./elements/rule-form.js";
import "./elements/theme-toggle.js";
import "./elements/copy-text.js";
import { watchDialogs } from "./lib/dialogs.js";
import { watchMenus } from "./lib/menus.js";
import { watchRequests } from "./lib/requests.js";
import { watchSelections } from "./lib/selections.js";
import { watchSubmits } from "./lib/submits.js";

watchDialogs(document);
watchMenus(document);
watchRequests(document.body);
watchSelections(document);
watchSubmits(document);
