#!/usr/bin/env node
// The command, where npm links it: this file is there before the rest has been compiled.
import '../dist/src/cli/main.js';
