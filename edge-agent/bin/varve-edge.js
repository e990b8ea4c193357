#!/usr/bin/env node
import '../dist/v8-flags.js';
// Not a static import: V8 would load all of it first, and its memory grow meanwhile.
await import('../dist/main.js');
