// Text with numbered lines. Every part of it is shown as text, whatever stands in it.
export default {
  template: `
    <div class="code-text">
      <button v-if="canCopy" type="button" class="code-copy" @click="copy">{{ copied ? "Copied" : "Copy" }}</button>
      <pre tabindex="0" :aria-label="name"><span v-for="(line, index) in lines" :key="index" class="code-line"
        :class="{ marked: marked.includes(index + 1) }" :id="anchor ? anchor + (index + 1) : null"><span
        v-for="(part, place) in line" :key="place" :class="part[0]">{{ part[1] }}</span></span></pre>
    </div>`,
  props: { lines: Array, marked: Array, anchor: String, name: String },
  data() {
    return { canCopy: Boolean(navigator.clipboard), copied: false };
  },
  methods: {
    async copy() {
      const text = this.lines.map((line) => line.map((part) => part[1]).join("")).join("\n");
      await navigator.clipboard.writeText(text);
      this.copied = true;
      setTimeout(() => (this.copied = false), 2000);
    },
  },
};
