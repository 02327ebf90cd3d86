require(['app/view-index'], function() {
    'use strict';
});
