// One file a runtime: they run side by side.
import { conform } from '../../conformance/index.ts';

conform('bun');
