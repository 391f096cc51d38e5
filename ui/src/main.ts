// Where the page starts.
import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';

const app = document.getElementById('app');
if (!app) throw new Error('index.html has no #app');
mount(App, { target: app });
