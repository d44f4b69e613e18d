// What scripts add to the pages: charts, the viewer's own time, colours, a filter form that leaves out what is empty. Without
// it everything can be read and asked for all the same. Texts are only ever set as text.
"use strict";

(() => {
  const script = document.currentScript;
  const root = document.documentElement;
  const live = () => document.getElementById("live");
  const say = (text) => { if (live()) live().textContent = text; };

  // ---- colours ----

  const themes = ["auto", "light", "dark"];
  const themeNames = { auto: "automatic", light: "light", dark: "dark" };
  const themeNow = () => root.dataset.theme || "auto";

  function setTheme(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "auto") localStorage.removeItem("playmeter-theme");
      else localStorage.setItem("playmeter-theme", theme);
    } catch {
      // Storage is off: it holds for this page.
    }
    nameTheme();
    redraw();
  }

  function nameTheme() {
    const button = document.getElementById("theme");
    if (!button) return;
    const name = "Colours: " + themeNames[themeNow()];
    button.setAttribute("aria-label", name);
    button.title = name;
    button.hidden = false;
  }

  // ---- exact values ----

  // Style sheets look at the switch itself, so that it works where no script runs. Here it is kept.
  function beginExact() {
    const box = document.getElementById("exact");
    if (!box) return;
    box.checked = "exact" in root.dataset;
    box.addEventListener("change", () => {
      root.toggleAttribute("data-exact", box.checked);
      try {
        if (box.checked) localStorage.setItem("playmeter-exact", "yes");
        else localStorage.removeItem("playmeter-exact");
      } catch {
        // Storage is off: it holds for this page.
      }
      say(box.checked ? "Values are exact." : "Values are shortened.");
    });
  }

  // ---- the viewer's own time ----

  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function showLocalTimes(within) {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (time.title || Number.isNaN(at.getTime())) continue;
      time.title = time.dateTime.replace("T", " ").replace("Z", " UTC") + "\n" + local.format(at) + " (yours)";
    }
  }

  // ---- charts ----

  const charts = new Map(); // by the element that they are drawn in
  let echartsLoading, worldLoading;

  function loadECharts() {
    echartsLoading ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = script.dataset.echarts;
      tag.onload = () => resolve(window.echarts);
      tag.onerror = () => reject(new Error("the charts' script did not come"));
      document.head.append(tag);
    });
    return echartsLoading;
  }

  // loadWorld gives the names of countries by their codes, once the map is known to ECharts.
  function loadWorld(echarts) {
    worldLoading ??= fetch(script.dataset.world).then((answer) => {
      if (!answer.ok) throw new Error("the map did not come: " + answer.status);
      return answer.json();
    }).then((world) => {
      echarts.registerMap("world", world);
      return new Map(world.features.map((f) => [f.properties.name, f.properties.title]));
    });
    return worldLoading;
  }

  function colour(name) {
    return getComputedStyle(root).getPropertyValue("--" + name).trim();
  }

  // rough is a value on an axis; what is said of a value comes from the server.
  function rough(unit) {
    const short = (n, step, names) => {
      let at = 0;
      while (n >= step && at < names.length - 1) { n /= step; at++; }
      return (n >= 100 ? Math.round(n) : Math.round(n * 10) / 10) + names[at];
    };
    switch (unit) {
      case "bytes": return (n) => short(n, 1000, [" B", " kB", " MB", " GB", " TB", " PB", " EB"]);
      case "micros": return (n) => {
        const hours = n / 3.6e9;
        if (n === 0) return "0";
        if (hours >= 1) return short(hours, 1000, ["", "k", "M"]) + " h";
        return n >= 6e7 ? Math.round(n / 6e7) + " min" : Math.round(n / 1e5) / 10 + " s";
      };
      default: return (n) => short(n, 1000, ["", "k", "M", "G"]);
    }
  }

  // scale divides an axis of time into so many hours, rather than so many millions of microseconds.
  function scale(kind, data) {
    if (data.unit !== "micros") return {};
    const at = (i) => data.series.map((s) => s.values[i] || 0);
    const tops = data.labels.map((_, i) => (kind === "stack" ? at(i).reduce((sum, n) => sum + n, 0) : Math.max(...at(i))));
    const top = Math.max(1, ...tops);
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].map((s) => s * 1e6);
    for (let hour = 3.6e9; hour < 1e19; hour *= 10) steps.push(hour, 2 * hour, 5 * hour);
    const interval = steps.find((step) => step >= top / 5);
    return { interval, max: Math.ceil(top / interval) * interval };
  }

  const nameOf = (data, i) => (data.names && data.names[i]) || data.labels[i];
  const linkOf = (data, series, i) => (series && series.links && series.links[i]) || (data.links && data.links[i]);

  function common() {
    const text = { color: colour("soft"), fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 };
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    return {
      animation: !still,
      animationDuration: 250,
      textStyle: text,
      color: [1, 2, 3, 4, 5, 6].map((n) => colour("series-" + n)),
      tooltip: {
        renderMode: "richText", // HTML would need styles within the page
        confine: true,
        backgroundColor: colour("sheet"),
        borderColor: colour("strong-line"),
        textStyle: { ...text, color: colour("ink") },
      },
    };
  }

  function dayChart(kind, data) {
    const several = data.series.length > 1, lies = kind === "stack"; // names have room only beside bars that lie
    const line = { lineStyle: { color: colour("line") } };
    const options = common();
    options.grid = { left: 8, right: lies ? 24 : 12, top: lies ? 44 : several ? 34 : 12, bottom: 4, containLabel: true };
    if (several) options.legend = { top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, textStyle: { color: colour("soft") }, inactiveColor: colour("strong-line") };
    options.tooltip.trigger = "axis";
    options.tooltip.axisPointer = { type: kind === "line" ? "line" : "shadow", lineStyle: { color: colour("strong-line") }, shadowStyle: { color: colour("ink"), opacity: 0.06 } };
    options.tooltip.formatter = (marks) => {
      const i = marks[0].dataIndex;
      return [nameOf(data, i)].concat(marks.map((m) => (several ? m.seriesName + ": " : "") + data.series[m.seriesIndex].texts[i])).join("\n");
    };
    const along = { type: "category", data: data.labels, axisLine: line, axisTick: { show: false }, axisLabel: { color: colour("soft"), hideOverlap: true, formatter: shortDay } };
    const up = { type: "value", ...scale(kind, data), axisLabel: { color: colour("soft"), hideOverlap: true, formatter: rough(data.unit) }, splitLine: line };
    options.xAxis = lies ? up : along;
    options.yAxis = lies ? { ...along, inverse: true, axisLabel: { color: colour("soft"), interval: 0, width: 120, overflow: "truncate" } } : up;
    options.series = data.series.map((s) => ({
      name: s.name,
      type: kind === "line" ? "line" : "bar",
      stack: kind === "stack" ? "all" : undefined,
      data: s.values,
      smooth: false,
      showSymbol: data.labels.length < 4, // else where the pointer is
      symbolSize: 6,
      areaStyle: kind === "line" && !several ? { opacity: 0.12 } : undefined,
      barMaxWidth: lies ? 22 : 34,
      itemStyle: kind === "line" ? undefined : { borderRadius: kind === "bars" ? [3, 3, 0, 0] : 0 },
      cursor: "pointer",
      triggerLineEvent: true,
    }));
    return options;
  }

  // shortDay leaves out the year and month of a day's label, but for the first.
  function shortDay(label, i) {
    const day = /^\d{4}-(\d\d)-(\d\d)$/.exec(label);
    return day && i > 0 && day[2] !== "01" ? String(Number(day[2])) : label;
  }

  // The Miller projection: nearly true where most people live, and not so tall.
  const projection = {
    project: ([x, y]) => [x, -71.62 * Math.log(Math.tan(Math.PI / 4 + (0.4 * Math.PI * y) / 180))],
    unproject: ([x, y]) => [x, (Math.atan(Math.exp(-y / 71.62)) - Math.PI / 4) * (180 / (0.4 * Math.PI))],
  };

  function mapChart(data, titles) {
    const series = data.series[0];
    const options = common();
    const most = Math.max(1, ...series.values);
    options.tooltip.formatter = (mark) => {
      const i = data.labels.indexOf(mark.name);
      return i < 0 ? (titles.get(mark.name) || mark.name) + "\nnobody" : nameOf(data, i) + "\n" + series.texts[i];
    };
    options.visualMap = {
      type: "continuous", min: 0, max: Math.sqrt(most), dimension: 0, calculable: false, show: true,
      left: 4, bottom: 4, itemWidth: 10, itemHeight: 80, text: [rough(data.unit)(most), "0"],
      textStyle: { color: colour("soft"), fontSize: 11 }, inRange: { color: [colour("map-low"), colour("map-high")] },
    };
    options.series = [{
      type: "map", map: "world", projection, roam: false, selectedMode: false, left: 4, right: 4, top: 4, bottom: 4,
      itemStyle: { areaColor: colour("map-none"), borderColor: colour("sheet"), borderWidth: 0.6 },
      emphasis: { label: { show: false }, itemStyle: { areaColor: colour("series-2") } },
      // Areas are shaded by the square root, so that the small ones can be told apart, too.
      data: data.labels.map((code, i) => ({ name: code, value: Math.sqrt(series.values[i]) })),
    }];
    return options;
  }

  // follow goes where an element of a chart leads.
  function follow(data, mark) {
    const i = mark.seriesType === "map" ? data.labels.indexOf(mark.name) : mark.dataIndex;
    const link = i >= 0 && linkOf(data, data.series[mark.seriesIndex || 0], i);
    if (link && link.startsWith("/") && !link.startsWith("//")) window.location.assign(link);
  }

  async function draw(box) {
    const text = document.getElementById(box.dataset.from);
    if (!text || charts.has(box)) return;
    const data = JSON.parse(text.textContent);
    if (!data.labels || data.labels.length === 0 || !data.series || data.series.length === 0) return;
    charts.set(box, null); // it is on its way
    const details = box.parentElement.querySelector("details");
    // The map's table stays open: it stands beside the map, and says more.
    if (details && box.dataset.chart !== "map") details.open = false; // at once, so that it is not seen to close
    try {
      const echarts = await loadECharts();
      const titles = box.dataset.chart === "map" ? await loadWorld(echarts) : null;
      if (!box.isConnected) { charts.delete(box); return; }
      box.hidden = false;
      const chart = echarts.init(box, null, { renderer: "canvas" });
      const options = () => (titles ? mapChart(data, titles) : dayChart(box.dataset.chart, data));
      chart.setOption(options());
      chart.on("click", (mark) => follow(data, mark));
      chart.getZr().on("mousemove", (event) => chart.getZr().setCursorStyle(event.target ? "pointer" : "default"));
      charts.set(box, { chart, options });
      new ResizeObserver(resize).observe(box);
    } catch (problem) {
      charts.delete(box);
      box.hidden = true; // the table beside it says the same
      if (details) details.open = true;
      say("A chart could not be drawn; its table says the same.");
    }
  }

  function redraw() {
    for (const [box, drawn] of charts) {
      if (!box.isConnected) {
        if (drawn) drawn.chart.dispose();
        charts.delete(box);
      } else if (drawn) {
        drawn.chart.setOption(drawn.options(), true);
      }
    }
  }

  let resizing = 0;
  function resize() {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => charts.forEach((drawn) => drawn && drawn.chart.resize()));
  }

  // ---- forms ----

  // prune leaves empty fields out of the address that a form leads to.
  function prune(form) {
    for (const field of form.elements) {
      if (field.name && field.value === "" && !field.disabled) {
        field.disabled = true;
        setTimeout(() => { field.disabled = false; });
      }
    }
  }

  function onSubmit(event) {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (form.method === "get") {
      prune(form);
    }
  }

  // copy puts the text of an element into the clipboard: <button data-copy="ID" hidden>.
  async function copy(button) {
    const from = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(from.textContent.trim());
      say("Copied.");
    } catch {
      window.getSelection().selectAllChildren(from);
      say("Selected: copy it with your keyboard.");
    }
  }

  // ---- htmx ----

  // elsewhere tells whether an answer came from another page than was asked for, such as the sign-in.
  function elsewhere(xhr, path) {
    if (!xhr || !xhr.responseURL) return false;
    return new URL(xhr.responseURL).pathname !== new URL(path, window.location.href).pathname;
  }

  // polls tells whether an element asks by itself, again and again: it goes on when the daemon is back.
  const polls = (element) => /every/.test(element?.getAttribute("hx-trigger") || "");

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo } = event.detail;
    const asked = pathInfo.finalRequestPath || pathInfo.requestPath;
    if (elsewhere(xhr, asked)) {
      event.detail.shouldSwap = false;
      window.location.reload(); // whoever must sign in comes back to this page
    } else if (xhr.status >= 400 && event.detail.requestConfig.verb === "get" && !polls(event.detail.requestConfig.elt)) {
      event.detail.shouldSwap = false;
      event.detail.isError = false;
      window.location.assign(asked); // the page that says what is wrong
    }
  });
  // Addresses hold what was filtered by: they are kept nowhere but in the browser's own history.
  document.addEventListener("htmx:pushedIntoHistory", () => {
    try { sessionStorage.removeItem("htmx-current-path-for-history"); } catch { /* storage is off */ }
  });
  let away = false; // the daemon: pages that ask by themselves say so once
  document.addEventListener("htmx:sendError", (event) => {
    if (!away || !polls(event.detail.requestConfig?.elt)) say("The daemon does not answer. Try again.");
    away = true;
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    away = false;
    if (event.detail.xhr.getResponseHeader("HX-Refresh") === "true") keepChoices();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!polls(event.detail.elt)) event.detail.target.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", (event) => event.detail.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:afterSwap", (event) => {
    begin(event.detail.target);
    const target = event.detail.target;
    const caption = target.querySelector(".pager-shown") || target.querySelector("caption");
    if (caption && event.detail.requestConfig?.boosted) say(caption.textContent);
  });

  // ---- pages that load themselves anew ----

  // What somebody is choosing meanwhile, and where they are, is kept over it.
  const choicesKey = "playmeter-choices";
  const controls = () => [...document.querySelectorAll("main form select, main form input, main form button")];

  function keepChoices() {
    const kept = { path: location.pathname, focus: controls().indexOf(document.activeElement), chosen: controls().map((c) => [c.name, c.tagName === "SELECT" ? c.value : null]) };
    try { sessionStorage.setItem(choicesKey, JSON.stringify(kept)); } catch { /* storage is off */ }
  }

  function restoreChoices() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(choicesKey));
      sessionStorage.removeItem(choicesKey);
    } catch { /* storage is off */ }
    const now = controls();
    if (kept?.path !== location.pathname || kept.chosen.length !== now.length || now.some((c, i) => c.name !== kept.chosen[i][0])) return;
    now.forEach((c, i) => {
      if (c.tagName === "SELECT" && [...c.options].some((o) => o.value === kept.chosen[i][1])) c.value = kept.chosen[i][1];
    });
    now[kept.focus]?.focus({ preventScroll: true });
  }

  // ---- beginning ----

  function begin(within) {
    showLocalTimes(within);
    redraw(); // lets go of charts that are gone
    within.querySelectorAll("[data-chart]").forEach(draw);
    within.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
  }

  nameTheme();
  beginExact();
  begin(document);
  restoreChoices();
  document.addEventListener("submit", onSubmit, true); // before htmx reads the fields
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#theme, [data-copy]");
    if (!button) return;
    if (button.id === "theme") setTheme(themes[(themes.indexOf(themeNow()) + 1) % themes.length]);
    else copy(button);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
