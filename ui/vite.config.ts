// How the page is built: relative addresses (any route prefix works), hashed assets, nothing inline (strict CSP).
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { '/api': process.env['LEAKSCOPE_URL'] ?? 'http://127.0.0.1:7077' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
