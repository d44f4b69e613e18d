'use strict';

// Plays with hls.js, and writes down what the player itself says it has loaded.
// play(session) is all that the test calls; it resolves to the record.

// record is what one session came to.
//
//   fragments: one for each FRAG_LOADED, in the player's own words
//   requests:  one for each request that hls.js made, with how it ended
//   errors:    what went wrong with loading, or ended it
//   remarks:   what else the player complained of
let record;

// flying counts the requests under way.
let flying = 0;

// noted is hls.js's own loader, which notes each request's end.
class Noted extends Hls.DefaultConfig.loader {
  load(context, config, callbacks) {
    const entry = {
      url: context.url, media: context.type === 'media-fragment', end: 'flying', bytes: 0,
      told: /[?&]CMCD=/.test(context.url) || Object.keys(context.headers || {}).some((name) => /^cmcd-/i.test(name)),
    };
    record.requests.push(entry);
    this.entry = entry;
    flying++;
    const end = (how) => (...args) => {
      this.finish(how);
      callbacks[how] && callbacks[how](...args);
    };
    super.load(context, config, {
      ...callbacks,
      onSuccess: (response, stats, ctx, details) => {
        this.finish('loaded', stats.loaded);
        callbacks.onSuccess(response, stats, ctx, details);
      },
      onError: end('onError'),
      onTimeout: end('onTimeout'),
    });
  }
  abort() {
    this.finish('aborted', this.stats.loaded);
    super.abort();
  }
  destroy() {
    this.finish('aborted', this.stats && this.stats.loaded);
    super.destroy();
  }
  finish(how, bytes) {
    if (this.entry && this.entry.end === 'flying') {
      this.entry.end = how;
      this.entry.bytes = bytes || 0;
      flying--;
    }
  }
}

const video = document.getElementById('video');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// until waits for something to be true, and says what it waited for when it never was.
async function until(what, condition) {
  const limit = performance.now() + 45000;
  while (!condition()) {
    if (performance.now() > limit) {
      throw new Error(`waited in vain until ${what}; at ${video.currentTime} s, ${JSON.stringify([record.errors, record.remarks])}`);
    }
    await sleep(10);
  }
}

// calm waits for a moment without a request under way, so that what follows in the
// same turn of the event loop aborts none.
const calm = () => until('nothing is under way', () => flying === 0);

function open(session) {
  record = { fragments: [], requests: [], errors: [], remarks: [], played: 0 };
  const hls = new Hls({
    loader: Noted,
    autoStartLoad: false, // else the lowest quality's playlist is asked for, and given up at once
    capLevelToPlayerSize: false,
    maxBufferLength: session.ahead,
    maxMaxBufferLength: session.ahead,
    backBufferLength: session.behind,
    cmcd: { sessionId: session.id, contentId: session.object, useHeaders: session.headers, version: session.version },
  });
  hls.on(Hls.Events.FRAG_LOADED, (_, { frag }) => {
    record.fragments.push({
      url: frag.url, type: frag.type, sn: frag.sn, bytes: frag.stats.loaded, encrypted: frag.encrypted,
      width: frag.type === 'main' ? hls.levels[frag.level].width : 0,
      height: frag.type === 'main' ? hls.levels[frag.level].height : 0,
    });
  });
  hls.on(Hls.Events.ERROR, (_, e) => {
    // That a busy machine plays haltingly changes nothing of what is loaded.
    const list = e.fatal || e.type === Hls.ErrorTypes.NETWORK_ERROR ? record.errors : record.remarks;
    list.push(`${e.type} ${e.details}${e.fatal ? ' (fatal)' : ''}: ${e.error && e.error.message}`);
  });
  return hls;
}

// start plays a session's title, at a fixed level unless that is -1.
async function start(hls, session) {
  hls.loadSource(`/media/${session.object}/master.m3u8`);
  hls.attachMedia(video);
  await new Promise((resolve) => hls.on(Hls.Events.MANIFEST_PARSED, resolve));
  if (session.level >= 0) {
    hls.loadLevel = session.level;
  }
  hls.startLoad();
  video.playbackRate = video.defaultPlaybackRate = session.rate;
  await video.play();
}

const reach = (seconds) => until(`${seconds} s are played`, () => video.currentTime >= seconds);
const toTheEnd = () => until('the title has ended', () => video.ended);

// ways are how a viewer goes through a title.
const ways = {
  whole: toTheEnd,

  // half watches one half and closes the player.
  async half() {
    await reach(video.duration / 2);
  },

  // back goes on to two thirds and then once more from near the beginning, where
  // nothing is buffered any more.
  async back() {
    await reach((video.duration * 2) / 3);
    await calm();
    video.currentTime = 3;
    await toTheEnd();
  },

  // change takes the best quality from the middle on.
  async change(hls) {
    await reach(video.duration / 2);
    await calm();
    hls.nextLevel = hls.levels.length - 1;
    await toTheEnd();
  },

  // hasty leaves while a segment is half way down a slow line.
  async hasty() {
    const segment = () => record.requests.findLast((r) => r.media && /\/[0-9]+\./.test(r.url));
    await until('two segments are there', () => record.fragments.length >= 2);
    await until('a segment is under way', () => segment().end === 'flying');
    await sleep(300);
  },
};

async function play(session) {
  const hls = open(session);
  await start(hls, session);
  await ways[session.way](hls);
  if (session.way !== 'hasty') {
    await calm();
  }
  record.played = video.currentTime;
  hls.destroy();
  return record;
}
