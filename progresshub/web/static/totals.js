// How it all stands, where one sees it from another tab: in the title and in the icon.

export function startTotals() {}
